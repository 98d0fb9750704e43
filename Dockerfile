# One image, four roles: api, worker, scheduler, migrate (see docker-compose.yml).
FROM python:3.13-slim

WORKDIR /app
COPY pyproject.toml constraints.txt README.md ./
COPY errata errata
COPY domain domain
COPY projections projections
COPY api api
COPY infra infra
ARG EXTRAS=
RUN pip install --no-cache-dir --constraint constraints.txt ".${EXTRAS:+[$EXTRAS]}" \
    && useradd --system --create-home errata \
    && install --directory --owner errata /archive

USER errata
ENV HOST=0.0.0.0 ENVIRONMENT=production ERRATA_ARCHIVE=/archive
EXPOSE 8080
ENTRYPOINT ["errata"]
CMD ["api"]
