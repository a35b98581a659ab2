-- Effects name the signal set that caused them and say whether they can be taken back; what stands
-- in the outbox was caused by the founding set of its case. state: 4 given up by a person.
ALTER TABLE outbox ADD COLUMN record BLOB NOT NULL DEFAULT X'';
ALTER TABLE outbox ADD COLUMN reversible INTEGER NOT NULL DEFAULT 1;
UPDATE outbox SET record = subject;

-- A connector finds its own orders, however many wait for another one.
DROP INDEX outbox_order;
DROP INDEX outbox_due;
CREATE INDEX outbox_order ON outbox (connector, priority, created_ms, seq) WHERE state = 0;
CREATE INDEX outbox_due ON outbox (connector, due_ms) WHERE state = 0;

-- Lists by state, and the oldest that waits.
CREATE INDEX outbox_state ON outbox (state, seq) WHERE state IN (0, 2);

-- The items of a case, page by page.
CREATE INDEX outbox_case_items ON outbox (subject, item);

-- What was done to an item, in the order in which it was decided, whatever the clock said.
DROP INDEX outbox_item;
CREATE INDEX outbox_item ON outbox (item, seq);
