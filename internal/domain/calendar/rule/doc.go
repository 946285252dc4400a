// Package rule is what must hold before a visit is booked: the service accepts the patient's age, the clinician is licensed where the patient will be,
// somebody pays. Rules are pure: one function each, over a [Visit] that the caller has read, which gives its reason in words for the person who books.
//
// A new rule is a new function in a file of its own and a line in all. It asks about visits of services which say so, never about others.
//
// It fails with Unprocessable, by [Refusal], which names every reason.
package rule
