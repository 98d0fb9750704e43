-- The texts of source maps, each once, under the SHA-256 of its text. Events name them by it, and a
-- text is here before the event that names it is committed. `body` is deflated (zlib); `size` is
-- the text's, in bytes. `put_at` is when it was last asked to be kept: what no version of any
-- application names is taken away some time after that.
CREATE TABLE source_maps_blobs (
    sha256 bytea       PRIMARY KEY CHECK (octet_length(sha256) = 32),
    body   bytea       NOT NULL,
    size   int         NOT NULL,
    put_at timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE source_maps_blobs ALTER COLUMN body SET STORAGE EXTERNAL;  -- compressed already
