package people

import (
	"context"
	"encoding/json"
	"time"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/base/phi"
	"ward/internal/base/scope"
	"ward/internal/kernel/module"
)

// The kinds of links.
const (
	activation = "activate"
	recovery   = "recover"
)

// How long links are good.
const (
	activationLife = 7 * 24 * time.Hour
	recoveryLife   = 30 * time.Minute
)

// mailSubject is the event that has a link made and mailed. Its data is a mailDue.
const mailSubject = "identity.mail"

type mailDue struct {
	Person string `json:"person"`
	Kind   string `json:"kind"`
}

// mailLater has a link made and mailed once the transaction is committed.
func (p *People) mailLater(ctx context.Context, tx db.Tx, personID, kind string) error {
	data, err := json.Marshal(mailDue{personID, kind})
	if err != nil {
		return fault.Internal("an event can't be made").With(err)
	}
	return p.deps.Enqueue(ctx, tx, module.Event{Subject: mailSubject, Data: data})
}

// mint makes a link; earlier ones of the kind are no good any more.
func (p *People) mint(ctx context.Context, tx db.Tx, personID, kind string) (string, error) {
	text, hash := secret()
	life := activationLife
	if kind == recovery {
		life = recoveryLife
	}
	if _, err := tx.Exec(ctx, "DELETE FROM identity_link WHERE person = $1 AND kind = $2", personID, kind); err != nil {
		return "", err
	}
	if _, err := tx.Exec(ctx, "INSERT INTO identity_link (hash, kind, person, expires) VALUES ($1, $2, $3, $4)", hash[:], kind, personID, p.now().Add(life).UnixMilli()); err != nil {
		return "", err
	}
	return p.deps.BaseURL() + "/t/" + tenantOf(ctx).Slug + "/activate/" + text, nil
}

// sendMail handles mailSubject: the link is made now, so that it is nowhere but in the mail.
func (p *People) sendMail(ctx context.Context, e module.Event) error {
	var due mailDue
	if err := json.Unmarshal(e.Data, &due); err != nil {
		return fault.Internal("an event of %s can't be read", mailSubject).With(err)
	}
	var link string
	var who Person
	err := p.deps.DB.Write(ctx, func(ctx context.Context, tx db.Tx) (err error) {
		if who, err = p.find(ctx, tx, "p.id = $1", due.Person); err != nil {
			return err
		}
		link = ""
		if due.Kind == activation && who.State == Invited || due.Kind == recovery && who.State == Active {
			link, err = p.mint(ctx, tx, due.Person, due.Kind)
		}
		return err
	})
	if fault.Is(err, fault.CodeNotFound) || err == nil && link == "" {
		return nil // gone, activated or disabled since
	}
	if err != nil {
		return err
	}
	return p.deps.Mailer.Send(ctx, letter(who, e.Tenant, due.Kind, link))
}

func letter(who Person, tenant scope.Tenant, kind, link string) Message {
	hello := "Hello,\n\n"
	if !who.Name.IsEmpty() {
		hello = "Hello " + who.Name.Reveal() + ",\n\n"
	}
	m := Message{To: who.Email, Subject: "Your account at " + tenant.Slug}
	text := hello + "you have been invited to an account at " + tenant.Slug + ". To choose a password, open this address within seven days:\n\n" + link +
		"\n\nIt works once. If you did not expect this message, you need not do anything.\n"
	if kind == recovery {
		m.Subject = "A new password for " + tenant.Slug
		text = hello + "somebody, probably you, asked for a new password at " + tenant.Slug + ". To choose one, open this address within half an hour:\n\n" + link +
			"\n\nIt works once. If it was not you, you need not do anything: your password stays as it is.\n"
	}
	m.Text = phi.Of(text)
	return m
}

// Link is what a good link leads to.
type Link struct {
	Person  Person
	Recover bool // a new password for an active account; else the account's activation
}

func noLink() error {
	return fault.NotFound("this link is no good any more: it was used, is too old, or was replaced by a newer one")
}

// FollowLink says what the link leads to, and leaves it good. It returns fault.NotFound for one that is no good.
func (p *People) FollowLink(ctx context.Context, text string) (l Link, err error) {
	defer fault.Op(&err, "people.FollowLink")
	err = p.deps.DB.Read(ctx, func(ctx context.Context, q db.Querier) (err error) {
		l, err = p.link(ctx, q, text)
		return err
	})
	return l, err
}

func (p *People) link(ctx context.Context, q db.Querier, text string) (l Link, err error) {
	var personID, kind string
	err = q.Query(ctx, "SELECT person, kind FROM identity_link WHERE hash = $1 AND expires > $2", func(r db.Row) error {
		personID, kind = r.Text(0), r.Text(1)
		return nil
	}, hashed(text), p.now().UnixMilli())
	if err != nil || personID == "" {
		if err == nil {
			err = noLink()
		}
		return l, err
	}
	if l.Person, err = p.find(ctx, q, "p.id = $1", personID); err != nil {
		return l, err
	}
	l.Recover = kind == recovery
	if l.Recover && l.Person.State != Active || !l.Recover && l.Person.State != Invited {
		return l, noLink()
	}
	return l, nil
}
