-- The oldest items of the seen table go first.
CREATE INDEX seen_time ON seen (seen_ms);
