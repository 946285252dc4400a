-- Rules of when somebody or something can be booked: one row for each FHIR Schedule. actor is the hash of its FHIR reference.
CREATE TABLE calendar_availability (
    id      text  PRIMARY KEY, -- also of the Schedule
    actor   int8  NOT NULL,
    version int8  NOT NULL,
    body    bytea NOT NULL     -- JSON, see Availability
);
CREATE INDEX calendar_availability_actor ON calendar_availability (actor);

CREATE TABLE calendar_service (
    id      text  PRIMARY KEY,
    version int8  NOT NULL,
    body    bytea NOT NULL     -- JSON, see Kind
);

-- Who or what is taken when: one row for each cell of 5 minutes and each seat. The key is what keeps two visits apart.
CREATE TABLE calendar_claim (
    resource int8  NOT NULL,   -- hash of the FHIR reference of a patient, clinician, room, interpreter, device
    cell     int4  NOT NULL,   -- 5 minutes each, from 1970
    seat     int4  NOT NULL,   -- from 1
    booking  text  NOT NULL,
    expires  int8  NOT NULL,   -- of a hold, in seconds; 0: it doesn't
    PRIMARY KEY (resource, cell, seat)
) WITHOUT ROWID;

-- Holds and bookings, past ones too. The id is also the Appointment's.
CREATE TABLE calendar_booking (
    id      text  PRIMARY KEY,
    state   int4  NOT NULL,    -- 1 held, 2 booked, 3 cancelled, 4 expired
    starts  int8  NOT NULL,    -- seconds
    ends    int8  NOT NULL,
    expires int8  NOT NULL,    -- of a hold, in seconds; else 0
    body    bytea NOT NULL     -- JSON: ids and times, sealed
);
CREATE INDEX calendar_booking_starts ON calendar_booking (state, starts);
CREATE INDEX calendar_booking_expires ON calendar_booking (expires) WHERE state = 1;

-- First answers to calls with an Idempotency-Key.
CREATE TABLE calendar_once (
    key     bytea PRIMARY KEY, -- hash of who asked and the key
    request bytea NOT NULL,    -- hash of what was asked
    status  int4  NOT NULL,    -- 200 or 409
    made    int8  NOT NULL,    -- seconds
    answer  bytea NOT NULL     -- sealed
);
CREATE INDEX calendar_once_made ON calendar_once (made);

CREATE TABLE calendar_waitlist (
    id       text  PRIMARY KEY,
    state    int4  NOT NULL,   -- 1 waiting, 2 offered, 3 booked, 4 lapsed, 5 left
    service  text  NOT NULL,
    actor    int8  NOT NULL,   -- hash of the wanted clinician's reference; 0: any
    place    int8  NOT NULL,   -- nanoseconds when they joined: the order
    earliest int8  NOT NULL,   -- seconds
    latest   int8  NOT NULL,
    patient  text  NOT NULL,   -- FHIR reference
    offer    text  NOT NULL,   -- the hold that is offered; else empty
    refused  int8  NOT NULL    -- start of the slot that they declined last; else 0
);
CREATE INDEX calendar_waitlist_next ON calendar_waitlist (service, state, place);

CREATE TABLE calendar_reminder (
    id       text  PRIMARY KEY,
    booking  text  NOT NULL,
    channel  text  NOT NULL,   -- email, sms, push
    due      int8  NOT NULL,   -- seconds
    state    int4  NOT NULL,   -- 1 due, 2 being sent, 3 sent, 4 withdrawn, 5 failed
    lease    int8  NOT NULL,   -- while being sent: seconds after which somebody else may
    attempts int4  NOT NULL
);
CREATE INDEX calendar_reminder_due ON calendar_reminder (state, due);
CREATE INDEX calendar_reminder_booking ON calendar_reminder (booking);

-- Booked visits that a rule no longer allows, as the last nightly check found them.
CREATE TABLE calendar_lapse (
    booking text  PRIMARY KEY,
    starts  int8  NOT NULL,
    found   int8  NOT NULL,
    reasons bytea NOT NULL     -- JSON: the rules' names and reasons
);

-- When a check of the whole tenant was last done.
CREATE TABLE calendar_checked (
    name text PRIMARY KEY,
    at   int8 NOT NULL
);
