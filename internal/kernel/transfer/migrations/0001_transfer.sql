-- Keys of rows that changed while the tenant is on the move: see the package's triggers.
CREATE TABLE transfer_change (
    n   INTEGER PRIMARY KEY AUTOINCREMENT,
    tab TEXT NOT NULL,
    key TEXT NOT NULL
);
-- A row says that the tenant has left this database.
CREATE TABLE transfer_fence (
    closed INTEGER PRIMARY KEY
);
