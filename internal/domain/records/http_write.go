package records

import (
	"net/http"

	"ward/internal/format/fhir"
)

// handleWrite answers POST [type], PUT [type]/[id] and PUT [type]?[criteria].
func (s *Service) handleWrite(w http.ResponseWriter, r *http.Request) error {
	in, v, err := s.from(r)
	if err != nil {
		return err
	}
	return s.writeBody(w, r, &in, v, fhir.ResourceBody)
}

// handlePatch answers PATCH [type]/[id] and PATCH [type]?[criteria].
func (s *Service) handlePatch(w http.ResponseWriter, r *http.Request) error {
	in, v, err := s.from(r)
	if err != nil {
		return err
	}
	return s.writeBody(w, r, &in, v, fhir.ResourceBody, fhir.JSONPatchBody)
}

func (s *Service) writeBody(w http.ResponseWriter, r *http.Request, in *interaction, v view, takes ...fhir.BodyFormat) (err error) {
	if in.bodyFormat, err = bodyFormat(r.Header, takes...); err != nil {
		return err
	}
	if in.body, err = readBody(r); err != nil {
		return err
	}
	in.query = criteriaOnly(in.query)
	if in.typ == "SearchParameter" {
		if err := require(r.Context(), in); err != nil {
			return err
		}
	}
	a, err := s.perform(r.Context(), in)
	if err != nil {
		return err
	}
	return s.send(w, in, v, &a)
}

// handleDelete answers DELETE [type]/[id] and DELETE [type]?[criteria].
func (s *Service) handleDelete(w http.ResponseWriter, r *http.Request) error {
	in, v, err := s.from(r)
	if err != nil {
		return err
	}
	in.query = criteriaOnly(in.query)
	if in.typ == "SearchParameter" {
		if err := require(r.Context(), &in); err != nil {
			return err
		}
	}
	a, err := s.perform(r.Context(), &in)
	if err != nil {
		return err
	}
	return s.send(w, &in, v, &a)
}

// handleBundle answers POST of a batch or transaction to the base.
func (s *Service) handleBundle(w http.ResponseWriter, r *http.Request) error {
	in, v, err := s.from(r)
	if err != nil {
		return err
	}
	if _, err = bodyFormat(r.Header, fhir.ResourceBody); err != nil {
		return err
	}
	if in.body, err = readBody(r); err != nil {
		return err
	}
	// A bundle's answer holds no resources unless they are asked for (FHIR R4 http.html#ops).
	if !statesReturn(r.Header) {
		in.prefer.returns = returnMinimal
	}
	out, err := s.processBundle(r.Context(), in.body, in.base, in.prefer)
	if err != nil {
		return err
	}
	return s.send(w, &in, view{View: fhir.View{Pretty: v.Pretty}, content: v.content}, &answer{status: http.StatusOK, body: out})
}
