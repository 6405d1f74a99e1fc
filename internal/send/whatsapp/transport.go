package whatsapp

import (
	"context"

	"campaignd/internal/send"
	"campaignd/internal/send/httppost"
)

// classifyFailure returns the verdict on an attempt without a response.
func (c *Channel) classifyFailure(ctx context.Context, f httppost.Failure) send.Result {
	if f.Reach == httppost.Written {
		return send.Result{Verdict: send.VerdictUnknown, Detail: "the request was written, but no answer came: " + c.client.Describe(ctx, f)}
	}
	hold := func(detail string) send.Result {
		return send.Result{Verdict: send.VerdictHold, Hold: send.HoldChannel, Detail: detail}
	}
	if httppost.BadCertificate(f.Err) != nil {
		return hold("the server's certificate is not valid: check base_url, this host's clock and its certificate authorities")
	}
	if httppost.NoTLS(f.Err) {
		return hold("the server doesn't speak TLS: check base_url")
	}
	if f.Reach == httppost.NotReached {
		return send.Result{Verdict: send.VerdictUnreachable, Detail: "WhatsApp can't be reached: " + c.client.Describe(ctx, f)}
	}
	return send.Result{Verdict: send.VerdictRetry, Unwritten: true, Detail: "the request could not be written: " + c.client.Describe(ctx, f)}
}
