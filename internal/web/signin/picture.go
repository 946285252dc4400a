package signin

import (
	"bytes"
	"encoding/base64"
	"html/template"
	"image/png"

	"github.com/pquerna/otp"

	"ward/internal/base/fault"
)

// picture is the QR code of an authenticator app's URL, as a data URL.
func picture(u string) (template.URL, error) {
	key, err := otp.NewKeyFromURL(u)
	if err != nil {
		return "", fault.Internal("a QR code can't be made").With(err)
	}
	image, err := key.Image(240, 240)
	if err != nil {
		return "", fault.Internal("a QR code can't be made").With(err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, image); err != nil {
		return "", fault.Internal("a QR code can't be made").With(err)
	}
	return template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())), nil //nolint:gosec // our own picture
}
