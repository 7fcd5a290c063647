-- By what way an administrator came, where it was not the service's own: a command beside it.
ALTER TABLE audit ADD COLUMN via TEXT CHECK (via IN ('shell'));
