// Package people is who has an account in a tenant and how they sign in.
package people
