-- No part has a place yet, and the health check says so: both databases go back.
ALTER TABLE part ADD COLUMN place text NOT NULL DEFAULT '';
