-- How many events there are in a range of positions: as many as it is long, without a hole.
SELECT count(*) FROM events WHERE position > %(after)s AND position <= %(until)s
