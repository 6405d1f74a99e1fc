package partnerpage

import (
	"testing"

	"campaignd/internal/campaign"
)

// Every variable of a campaign was called Ada in the example of campaigns.txt, dates and amounts too.
func TestExampleValuesSuitTheirVariables(t *testing.T) {
	contents := []campaign.Content{{Item: []byte(`{"body": "Hola {{nombre}}, {{image}} https://x.example/{{slug}}", "header": {"link": "{{image}}"}}`)}}
	for variable, want := range map[string]string{
		"nombre": "Ada", "firstName": "Ada", "fecha_entrega": "2026-01-31", "orderDate": "2026-01-31", "importe": "49.90",
		"pedido": "1234", "order_number2": "1234", "image": exampleAddress, "slug": "1234", "url": exampleAddress, "ciudad": "ciudad",
	} {
		if got := exampleValue(variable, contents); got != want {
			t.Errorf("the example of %s is %q, want %q", variable, got, want)
		}
	}
}
