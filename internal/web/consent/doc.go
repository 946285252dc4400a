// Package consent draws the pages that people see while an app asks for access: what the app wants, which patient it is for, why it can't
// go on. They are plain forms, drawn by the server, that work without a script and with a screen reader; the portal will dress them.
//
// Nothing on them runs or is fetched: the policy in their header allows one style, which is in the page, and forms that lead back here
// (and, from the consent page, to the app that asks). They can't be framed and are kept by no cache.
package consent
