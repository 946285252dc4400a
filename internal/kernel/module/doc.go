// Package module describes what a domain brings to the product, as a value: its migrations, its routes, the events it
// consumes and what it runs in the background.
//
// A module is data, not an init() and not a container. Because routes are data, one test demands a permission, a lane
// and an objective on each, a golden file shows the whole surface in review, and `ward routes` prints it. [Check] holds the
// rules; the program does not start with a module that breaks one.
package module
