-- What happens to an identity after its first login. As before: nothing here is a name or an address of a person, but
-- for the account names that an administrator gives.

-- Under what an identity stands in the audit log. Random: once the identity is erased, nobody can say whose it was.
ALTER TABLE identities ADD COLUMN audit_id BLOB;
UPDATE identities SET audit_id = randomblob(16);
CREATE UNIQUE INDEX identities_by_audit_id ON identities (audit_id);

-- What a key is to its identity. A linked key keeps a place for the identity it had, whose sub nobody else gets.
ALTER TABLE keys ADD COLUMN role TEXT NOT NULL DEFAULT 'primary' CHECK (role IN ('primary', 'secondary', 'archived'));
ALTER TABLE keys ADD COLUMN archived_at INTEGER CHECK ((archived_at IS NULL) = (role <> 'archived'));
ALTER TABLE keys ADD COLUMN former_identity_id INTEGER REFERENCES identities (id)
    CHECK ((former_identity_id IS NULL) = (role <> 'secondary'));
CREATE UNIQUE INDEX keys_one_primary ON keys (identity_id) WHERE role = 'primary';
CREATE INDEX keys_by_former_identity ON keys (former_identity_id) WHERE former_identity_id IS NOT NULL;

-- New keys that wait for an administrator, each with a keyed hash of the address prefix it came from: how many wait is
-- bounded by it, and it goes when the waiting does.
CREATE TABLE pending (
    identity_id INTEGER PRIMARY KEY REFERENCES identities (id) ON DELETE CASCADE,
    share       BLOB NOT NULL,
    since       INTEGER NOT NULL
) STRICT;
INSERT INTO pending SELECT i.id, zeroblob(32), k.enrolled_at
    FROM identities i JOIN keys k ON k.identity_id = i.id WHERE i.approved = 0 AND k.revoked_at IS NULL;
CREATE INDEX pending_by_share ON pending (share, since);
CREATE INDEX pending_by_age ON pending (since);

-- One-time codes for new keys, by their SHA-256.
CREATE TABLE enrollment_codes (
    hash    BLOB PRIMARY KEY,
    -- The groups granted to whoever uses it, a JSON list.
    groups  TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX enrollment_codes_by_expiry ON enrollment_codes (expires);

-- New keys that will take an old one's place: a subkey asked for it, and the primary key has time to object.
CREATE TABLE waiting_rotations (
    identity_id        INTEGER PRIMARY KEY REFERENCES identities (id) ON DELETE CASCADE,
    new_fingerprint    BLOB NOT NULL UNIQUE,
    signing_keys       BLOB NOT NULL,
    certificate_digest BLOB NOT NULL,
    due                INTEGER NOT NULL
) STRICT;
CREATE INDEX waiting_rotations_by_due ON waiting_rotations (due);

-- Account names that were ever given, as keyed hashes: none is given to a second identity, not even once the first is
-- gone.
CREATE TABLE used_user_names (
    hash        BLOB PRIMARY KEY,
    identity_id INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX used_user_names_by_identity ON used_user_names (identity_id);

-- Addresses that an administrator vouches for, as keyed hashes.
CREATE TABLE confirmed_emails (
    -- One address, one identity: applications match accounts by it.
    hash        BLOB PRIMARY KEY,
    identity_id INTEGER NOT NULL REFERENCES identities (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX confirmed_emails_by_identity ON confirmed_emails (identity_id);

-- Who did what to whom. Only grows.
CREATE TABLE audit (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    who      TEXT NOT NULL CHECK (who IN ('administrator', 'key', 'server')),
    who_name BLOB,
    what     TEXT NOT NULL,
    subject  BLOB,
    network  TEXT
) STRICT;
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit log only grows'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'the audit log only grows'); END;

-- Logins that last, for their holders to see.
CREATE TABLE sessions (
    jti_hash    BLOB PRIMARY KEY,
    identity_id INTEGER NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    service     TEXT NOT NULL,
    generation  INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    last_seen   INTEGER NOT NULL,
    expires     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_identity ON sessions (identity_id, created_at);
CREATE INDEX sessions_by_expiry ON sessions (expires);

-- Refresh tokens that follow one another.
CREATE TABLE refresh_families (
    jti_hash    BLOB PRIMARY KEY,
    identity_id INTEGER NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    generation  INTEGER NOT NULL,
    advanced_at INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    ended       INTEGER NOT NULL DEFAULT 0 CHECK (ended IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_families_by_identity ON refresh_families (identity_id);
CREATE INDEX refresh_families_by_expiry ON refresh_families (expires);
