package records

import (
	"context"
	"net/http"
	"strconv"

	"ward/internal/backend/db"
	"ward/internal/base/fault"
	"ward/internal/format/fhir"
	"ward/internal/format/fhir/validate"
	"ward/internal/format/jsontape"
	"ward/internal/kernel/access"
)

// parseResource reads a body that must be a resource of a type that FHIR R4 has.
//
// Errors: Invalid with line and column.
func (s *Service) parseResource(doc *jsontape.Doc, json []byte) error {
	if len(json) == 0 {
		return fault.Invalid("the body is empty: it must hold a resource in JSON")
	}
	typ, err := fhir.Parse(doc, json)
	if err != nil {
		return err
	}
	if !s.definitions.IsResource(typ) {
		n := doc.Get(doc.Root(), "resourceType")
		line, column := doc.Position(n)
		return fault.Invalid("resourceType %q is no resource type of FHIR R4", printable(typ)).Detail(fault.Detail{
			Severity: "fatal", Kind: "structure", Message: "FHIR R4 has no resource type " + strconv.Quote(printable(typ)), Line: line, Column: column,
		})
	}
	return nil
}

// validate lists what is wrong with a resource that was parsed.
func (s *Service) validate(_ context.Context, doc *jsontape.Doc) []fault.Detail {
	return s.validator.Resource(doc, doc.Root(), validate.Options{})
}

// validateOperation is $validate (FHIR R4 resource-operation-validate.html): it tells what a write would answer and
// writes nothing. Its own answer is 200 with an OperationOutcome, whatever that says.
func (s *Service) validateOperation(ctx context.Context, in *interaction) (answer, error) {
	if err := mayAtAll(access.Of(ctx), in.typ, access.Read, access.Search, access.Create, access.Update); err != nil {
		return answer{}, err
	}
	args, err := s.arguments(in, "resource", "mode", "profile")
	if err != nil {
		return answer{}, err
	}
	mode, profile := args.text("mode"), args.text("profile")
	switch mode {
	case "", "create", "update", "delete", "profile":
	default:
		return answer{}, fault.Invalid("mode is create, update, delete or profile")
	}
	resource := args.resource("resource")
	if resource == nil && args.body != nil {
		resource = args.body
	}
	var issues []fault.Detail
	switch {
	case mode == "delete":
		if in.id == "" {
			return answer{}, fault.Invalid("mode=delete is about one resource: POST [base]/[type]/[id]/$validate")
		}
		issues = issuesOf(s.existsFor(ctx, in))
	case resource == nil && in.id == "":
		return answer{}, fault.Invalid("there is nothing to validate: send a resource, or Parameters with one named resource")
	case resource == nil:
		if resource, err = s.stored(ctx, in); err != nil {
			return answer{}, err
		}
		fallthrough
	default:
		issues = s.problemsOf(in, mode, resource)
	}
	if profile != "" && !isBaseProfile(profile, in.typ) {
		issues = append(issues, fault.Detail{
			Severity: "warning", Kind: "not-supported",
			Message: "profiles other than those of the resource types themselves are not checked",
		})
	}
	return answer{status: http.StatusOK, body: fhir.AppendIssues(nil, issues...)}, nil
}

// problemsOf lists what a write of the resource would be refused for.
func (s *Service) problemsOf(in *interaction, mode string, resource []byte) []fault.Detail {
	var doc jsontape.Doc
	if err := s.parseResource(&doc, resource); err != nil {
		return issuesOf(err)
	}
	issues := s.validator.Resource(&doc, doc.Root(), validate.Options{ResourceType: in.typ})
	if mode == "update" && in.id != "" {
		if doc.Text(doc.Get(doc.Root(), "id")) != in.id {
			issues = append(issues, fault.Detail{
				Severity: "error", Kind: "value", Expression: in.typ + ".id", Message: "an update's body repeats the id of the URL",
			})
		}
	}
	return issues
}

func (s *Service) existsFor(ctx context.Context, in *interaction) error {
	_, err := s.stored(ctx, in)
	return err
}

func (s *Service) stored(ctx context.Context, in *interaction) (json []byte, err error) {
	if err := mayAtAll(access.Of(ctx), in.typ, access.Read); err != nil {
		return nil, err
	}
	err = s.reading(ctx, in, func(ctx context.Context, q db.Querier) error {
		v, err := s.read(ctx, q, in.typ, in.id)
		if err == nil {
			err = s.visible(ctx, v, access.Read)
		}
		if err == nil {
			err = v.there()
		}
		if err == nil {
			json = v.JSON
		}
		return err
	})
	return json, err
}

func isBaseProfile(profile, typ string) bool {
	return profile == "http://hl7.org/fhir/StructureDefinition/"+typ || profile == "http://hl7.org/fhir/StructureDefinition/Resource"
}

// issuesOf are the issues of an error, none for nil.
func issuesOf(err error) []fault.Detail {
	if err == nil {
		return nil
	}
	if details := fault.Details(err); len(details) > 0 {
		return details
	}
	return []fault.Detail{{Severity: "error", Kind: fhir.IssueType(fault.CodeOf(err)), Message: fault.Message(err)}}
}
