//! What scenarios find in a service's database, as SQL.

/// Five thousand members with names, of whom sixty wait; as many lines in the audit log.
pub(crate) const MEMBERS: &[&str] = &["
    CREATE TEMP TABLE numbers AS WITH RECURSIVE n(value) AS
        (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 5000) SELECT value FROM n;
    INSERT INTO identities (sub, approved, generation, audit_id, user_name)
        SELECT unhex(printf('%08X%032X', (value * 2654435761) % 4294967296, value)), value > 60, 0, randomblob(16),
        'name' || value FROM numbers;
    INSERT INTO keys (fingerprint, identity_id, signing_keys, certificate_digest, revision, enrolled_at)
        SELECT sub, id, zeroblob(900), zeroblob(32), id, unixepoch() FROM identities;
    INSERT INTO pending SELECT id, zeroblob(32), unixepoch() FROM identities WHERE NOT approved;
    INSERT INTO grants SELECT id, 'staff' FROM identities WHERE id % 3 = 0;
    INSERT INTO audit (at, who, what, subject)
        SELECT unixepoch() - 5000 + id, 'administrator', 'enrolled', audit_id FROM identities ORDER BY id;
    UPDATE installation SET enrolled_keys = (SELECT count(*) FROM keys);
"];

/// Somebody whose every name is markup, which no endpoint lets in.
pub(crate) const MARKUP: &[&str] = &["
    INSERT INTO identities (sub, approved, generation, audit_id, user_name)
        VALUES (unhex(printf('%040X', 7)), 1, 0, randomblob(16), '<img src=x onerror=alert(1)>');
    INSERT INTO keys (fingerprint, identity_id, signing_keys, certificate_digest, revision, enrolled_at)
        SELECT sub, id, zeroblob(900), zeroblob(32), id, unixepoch() FROM identities;
    INSERT INTO grants SELECT id, '<script>alert(2)</script>' FROM identities;
    INSERT INTO grants SELECT id, '\"><svg/onload=alert(3)>' FROM identities;
    INSERT INTO audit (at, who, what, subject, network)
        SELECT unixepoch(), 'administrator', '<iframe srcdoc=x></iframe>', audit_id, '<b>192.0.2.0</b>' FROM identities;
    UPDATE installation SET enrolled_keys = (SELECT count(*) FROM keys);
"];
