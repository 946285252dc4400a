package people

import (
	"context"
	"errors"
	"net/mail"
	"slices"
	"strings"
	"unicode/utf8"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/id"
	"ward/internal/base/phi"
	"ward/internal/kernel/access"
	"ward/internal/kernel/audit"
)

// Invitation is whom an administrator invites.
type Invitation struct {
	Email     string
	Name      string // for greetings; may be empty
	Role      string // a tenant's role, not integration
	Reference string // FHIR reference of who it is; needed for patients, proxies and staff who write records
	Patients  []string
	Sensitive []string
	ByHand    bool // the link is returned instead of mailed
}

// Roles are the roles that people may have.
func Roles() []string {
	return slices.DeleteFunc(access.TenantRoles(), func(r string) bool { return r == access.Integration })
}

// checkEmail is the address in the form that accounts have it.
func checkEmail(text string) (string, error) {
	a, err := mail.ParseAddress(strings.TrimSpace(text))
	if err != nil || a.Name != "" || len(a.Address) > 254 || strings.ContainsAny(a.Address, "\r\n\"") {
		return "", fault.Invalid("the e-mail address can't be one")
	}
	return strings.ToLower(a.Address), nil
}

func (i *Invitation) check() error {
	var err error
	if i.Email, err = checkEmail(i.Email); err != nil {
		return err
	}
	if !slices.Contains(Roles(), i.Role) {
		return fault.Invalid("%q is no role of people: choose %s", i.Role, strings.Join(Roles(), ", "))
	}
	if len(i.Name) > 200 || !utf8.ValidString(i.Name) || strings.ContainsAny(i.Name, "\r\n\x00") {
		return fault.Invalid("a name has at most 200 bytes and no line breaks")
	}
	if i.Reference != "" {
		typ, rid, ok := strings.Cut(i.Reference, "/")
		if !ok || !id.Valid(rid) || !slices.Contains([]string{"Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Person"}, typ) {
			return fault.Invalid("who it is must be a reference such as Practitioner/7, Patient/9 or RelatedPerson/3")
		}
		if i.Role == access.Patient && typ == "Patient" && len(i.Patients) == 0 {
			i.Patients = []string{rid}
		}
	}
	if (i.Role == access.Patient || i.Role == access.Proxy) && len(i.Patients) == 0 {
		return fault.Invalid("a %s needs the ids of the patients whose records they may see", i.Role)
	}
	if i.Role != access.Patient && i.Role != access.Proxy && len(i.Patients) > 0 {
		return fault.Invalid("the role %s does not go by single patients", i.Role)
	}
	for _, p := range i.Patients {
		if !id.Valid(p) {
			return fault.Invalid("a patient's id can't be one")
		}
	}
	for _, s := range i.Sensitive {
		if s == "" || len(s) > 64 || strings.ContainsAny(s, " \t\r\n\x00") {
			return fault.Invalid("a class of sensitive records is one word")
		}
	}
	return nil
}

// Invite makes an account and sends its link, or returns the link with ByHand. It returns fault.Invalid for an invitation that can't be and
// fault.Conflict when the address has an account.
func (p *People) Invite(ctx context.Context, i Invitation) (made Person, link string, err error) {
	defer fault.Op(&err, "people.Invite")
	if err := i.check(); err != nil {
		return made, "", err
	}
	made = Person{
		ID: id.New(), Email: phi.Of(i.Email), Name: phi.Of(i.Name), Role: i.Role, Reference: i.Reference, Patients: i.Patients, Sensitive: i.Sensitive,
		State: Invited, Created: p.now(),
	}
	if err := p.Settle(ctx); err != nil { // an account of before would not be seen to have the address
		return made, "", err
	}
	key, err := keyOf(ctx, p.deps.Keys)
	if err != nil {
		return made, "", err
	}
	address, sealed, err := hide(key, made.ID, private{i.Email, i.Name})
	if err != nil {
		return made, "", err
	}
	err = p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO identity_person (id, email, name, private, role, person, patients, sensitive, state, password, second_step, created, activated, signed_in)
			VALUES ($1, $2, '', $3, $4, $5, $6, $7, $8, '', 0, $9, 0, 0)`,
			made.ID, address, sealed, i.Role, i.Reference, strings.Join(i.Patients, " "), strings.Join(i.Sensitive, " "), Invited, made.Created.UnixMilli())
		if err != nil {
			return err
		}
		if i.ByHand {
			link, err = p.mint(ctx, tx, made.ID, activation)
		} else {
			err = p.mailLater(ctx, tx, made.ID, activation)
		}
		if err != nil {
			return err
		}
		return p.note(ctx, tx, audit.Account, made.ID, "invited as "+i.Role)
	})
	if errors.Is(err, db.ErrUnique) {
		err = fault.Conflict("there is an account of this address already")
	}
	return made, link, err
}

// InviteAgain sends a new link to somebody who has not activated the account, or returns it with byHand. Earlier links are no good any more.
func (p *People) InviteAgain(ctx context.Context, personID string, byHand bool) (link string, err error) {
	defer fault.Op(&err, "people.InviteAgain", personID)
	return p.again(ctx, personID, byHand, "invited again", func(ctx context.Context, tx db.Tx, who Person) error {
		if who.State != Invited {
			return fault.Conflict("the account was activated already")
		}
		return nil
	})
}

// Reset takes away all that somebody signs in with, ends their sessions and what they let apps do, and has them activate the account anew: for those who lost their second factor,
// after an administrator has made sure of who they are.
func (p *People) Reset(ctx context.Context, personID string, byHand bool) (link string, err error) {
	defer fault.Op(&err, "people.Reset", personID)
	var gone revoked
	link, err = p.again(ctx, personID, byHand, "reset", func(ctx context.Context, tx db.Tx, _ Person) error {
		gone = nil
		if err := p.revokeApps(ctx, tx, &gone, personID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "UPDATE identity_person SET state = $1, password = '', second = NULL, second_step = 0 WHERE id = $2", Invited, personID); err != nil {
			return err
		}
		for _, table := range []string{"identity_passkey", "identity_recovery", "identity_session", "identity_attempt", "identity_activation"} {
			if _, err := tx.Exec(ctx, "DELETE FROM "+table+" WHERE person = $1", personID); err != nil {
				return err
			}
		}
		return nil
	})
	p.deps.Sessions.forget()
	gone.forget()
	return link, err
}

func (p *People) again(ctx context.Context, personID string, byHand bool, what string, change func(ctx context.Context, tx db.Tx, who Person) error) (link string, err error) {
	err = p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		who, err := p.find(ctx, tx, "p.id = $1", personID)
		if err != nil {
			return err
		}
		if who.State == Disabled {
			return fault.Conflict("the account is disabled: enable it first")
		}
		if err := change(ctx, tx, who); err != nil {
			return err
		}
		if byHand {
			link, err = p.mint(ctx, tx, personID, activation)
		} else {
			err = p.mailLater(ctx, tx, personID, activation)
		}
		if err != nil {
			return err
		}
		return p.note(ctx, tx, audit.Account, personID, what)
	})
	return link, err
}

// List is the tenant's people by the time they were invited, at most limit after the one with the id; "" from the first.
func (p *People) List(ctx context.Context, after string, limit int) (found []Person, err error) {
	defer fault.Op(&err, "people.List")
	key, err := keyOf(ctx, p.deps.Keys)
	if err != nil {
		return nil, err
	}
	err = p.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) error {
		found = nil
		return q.Query(ctx, "SELECT "+personColumns+" FROM identity_person p WHERE p.id > $1 ORDER BY p.id LIMIT $2", func(r db.Row) error {
			who, err := scanPerson(key, r, 0)
			found = append(found, who)
			return err
		}, after, limit)
	})
	return found, err
}

// Get is the person with the id. It returns fault.NotFound when there is none.
func (p *People) Get(ctx context.Context, personID string) (who Person, err error) {
	defer fault.Op(&err, "people.Get", personID)
	err = p.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) (err error) {
		who, err = p.find(ctx, q, "p.id = $1", personID)
		return err
	})
	return who, err
}

// ByEmail is the person with the address. It returns fault.NotFound when there is none.
func (p *People) ByEmail(ctx context.Context, email string) (who Person, err error) {
	defer fault.Op(&err, "people.ByEmail")
	if email, err = checkEmail(email); err != nil {
		return who, err
	}
	err = p.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) (err error) {
		who, err = p.findAddress(ctx, q, email)
		return err
	})
	return who, err
}

func (p *People) find(ctx context.Context, q db.Querier, where string, args ...any) (who Person, err error) {
	key, err := keyOf(ctx, p.deps.Keys)
	if err != nil {
		return who, err
	}
	found := false
	err = q.Query(ctx, "SELECT "+personColumns+" FROM identity_person p WHERE "+where, func(r db.Row) (err error) {
		found = true
		who, err = scanPerson(key, r, 0)
		return err
	}, args...)
	if err == nil && !found {
		err = fault.NotFound("there is no such person")
	}
	return who, err
}

// Disable keeps the person from signing in and ends their sessions and what they let apps do.
func (p *People) Disable(ctx context.Context, personID string) (err error) {
	defer fault.Op(&err, "people.Disable", personID)
	var gone revoked
	defer func() { gone.forget() }()
	return p.change(ctx, personID, "disabled", func(ctx context.Context, tx db.Tx) (int64, error) {
		gone = nil
		if err := p.revokeApps(ctx, tx, &gone, personID); err != nil {
			return 0, err
		}
		for _, table := range []string{"identity_session", "identity_attempt", "identity_link"} {
			if _, err := tx.Exec(ctx, "DELETE FROM "+table+" WHERE person = $1", personID); err != nil {
				return 0, err
			}
		}
		return tx.Exec(ctx, "UPDATE identity_person SET state = $1 WHERE id = $2", Disabled, personID)
	})
}

// Enable lets a disabled person sign in again.
func (p *People) Enable(ctx context.Context, personID string) (err error) {
	defer fault.Op(&err, "people.Enable", personID)
	return p.change(ctx, personID, "enabled", func(ctx context.Context, tx db.Tx) (int64, error) {
		return tx.Exec(ctx, "UPDATE identity_person SET state = CASE WHEN activated > 0 THEN $1 ELSE $2 END WHERE id = $3", Active, Invited, personID)
	})
}

// EndSessions signs the person out everywhere.
func (p *People) EndSessions(ctx context.Context, personID string) (err error) {
	defer fault.Op(&err, "people.EndSessions", personID)
	return p.change(ctx, personID, "signed out everywhere", func(ctx context.Context, tx db.Tx) (int64, error) {
		if _, err := tx.Exec(ctx, "DELETE FROM identity_session WHERE person = $1", personID); err != nil {
			return 0, err
		}
		return tx.Exec(ctx, "UPDATE identity_person SET state = state WHERE id = $1", personID)
	})
}

// SetSensitive replaces the classes of sensitive records that the person may see.
func (p *People) SetSensitive(ctx context.Context, personID string, classes []string) (err error) {
	defer fault.Op(&err, "people.SetSensitive", personID)
	i := Invitation{Email: "a@b", Role: access.Admin, Sensitive: classes}
	if err := i.check(); err != nil {
		return err
	}
	return p.change(ctx, personID, "sensitive classes set", func(ctx context.Context, tx db.Tx) (int64, error) {
		return tx.Exec(ctx, "UPDATE identity_person SET sensitive = $1 WHERE id = $2", strings.Join(classes, " "), personID)
	})
}

func (p *People) change(ctx context.Context, personID, what string, do func(ctx context.Context, tx db.Tx) (int64, error)) error {
	err := p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) error {
		n, err := do(ctx, tx)
		if err != nil {
			return err
		}
		if n == 0 {
			return fault.NotFound("there is no such person")
		}
		return p.note(ctx, tx, audit.Account, personID, what)
	})
	p.deps.Sessions.forget()
	return err
}

// note writes an audit event about the person.
func (p *People) note(ctx context.Context, tx db.Tx, action audit.Action, personID, what string) error {
	return p.deps.Audit.RecordIn(ctx, tx, audit.Event{Action: action, Type: "Person", ID: personID, Detail: what})
}
