package csvfile

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"pgregory.net/rapid"
)

// westernTexts returns ordinary cells of lists in the languages that Windows-1252 is used for.
func westernTexts() map[string][]string {
	return map[string][]string{
		"Spanish": {"José Muñoz", "María Ángeles", "Peña", "C/ Mayor, nº 3, 1.ª planta", "L’Hospitalet", "¿Cómo está?", "¡Hola! Tu cita es mañana…", "BAR «CAFÉ»",
			"«CAFÉ»", "CAFÉ…", "Íñigo", "Núñez", "GARCÍA NÚÑEZ", "50 € más", "5€/mes", "un 10 % más", "pingüino", "“así” dijo", "dijo —casi— nada", "Ñandú", "Cº. Viejo, s/n", "3.º B", "25 °C",
			"80 m²", "Mª José", "Marca® nueva™", "Madrid–Barcelona", "lunes 9–14 h", "¿y tú?", "© 2026 Tiendas", "el ‘Día’", "10 000 €"},
		"Catalan": {"col·lega", "Paral·lel", "L’Hospitalet de Llobregat", "Núria Puigdomènech", "à", "Òscar", "això és teu", "l’«Ateneu»", "Plaça d’Espanya, 4t 2a", "Sant Cugat del Vallès",
			"ÀNGELS", "Xàtiva", "raïm", "pingüí", "INTEL·LIGENT", "què fas?", "n.º 7"},
		"French": {"Hélène Lefèvre", "François", "à", "Noël", "cœur", "ŒUVRE", "d’Œuvre", "l’été", "« Bonjour »", "l’«hôtel»", "n° 3", "N° 12", "1ʳᵉ", "Ça va ?", "naïve", "L’HAŸ-LES-ROSES", "Île-de-France",
			"déjà vu", "été", "âgé", "ÉTÉ", "M. Dupré", "12 h 30", "prix : 5 €", "Être ou…", "5ème étage", "Saint-Étienne", "aujourd’hui", "ça… là", "PÈRE NOËL", "½ tarif", "m³"},
		"Portuguese": {"João", "São Paulo", "Conceição", "Avô", "AVÓ", "NÃO", "CORAÇÕES", "pão de ló", "1.º andar", "2.ª via", "às 9 h", "Você", "Fátima", "Antônio", "“olá”", "ação", "Guimarães", "mês", "à", "Goiânia"},
		"German": {"Müller", "Größe", "Straße", "STRAẞE", "Ö", "Jürgen Groß", "„Hallo“, sagte er", "»Wort«", "‚halb‘", "Österreich", "ÄRZTE", "Köln – Bonn", "20 °C", "§ 5 Abs. 2", "Stück à 5 €", "Fußgänger",
			"München", "grün", "Übung", "Mo–Fr", "½ Liter", "10 µg", "Weiß & Söhne", "so“", "Café"},
	}
}

// TestOrdinaryWindows1252IsRead: no text that people write in these languages is taken
// for another encoding.
func TestOrdinaryWindows1252IsRead(t *testing.T) {
	for language, texts := range westernTexts() {
		t.Run(language, func(t *testing.T) {
			var good []string
			for _, text := range texts {
				data, err := charmap.Windows1252.NewEncoder().String(text)
				if err != nil {
					continue // not in Windows-1252
				}
				good = append(good, text)
				if why := refusal1252(t, "name\n"+data+"\n"); why != "" {
					t.Error(why)
				}
			}
			rapid.Check(t, func(rt *rapid.T) {
				var b strings.Builder
				b.WriteString("contactCode;name;text\r\n")
				for i := range rapid.IntRange(1, 30).Draw(rt, "rows") {
					text := rapid.SampledFrom(good)
					fmt.Fprintf(&b, "3460000%04d;%s;%s %s\r\n", i, text.Draw(rt, "name"), text.Draw(rt, "first"), text.Draw(rt, "second"))
				}
				data, err := charmap.Windows1252.NewEncoder().String(b.String())
				if err != nil {
					rt.Fatal(err)
				}
				if why := refusal1252(t, data); why != "" {
					rt.Fatal(why)
				}
			})
		})
	}
}

// refusal1252 returns why data is not read as Windows-1252 with a warning, "" if it is.
func refusal1252(t testing.TB, data string) string {
	t.Helper()
	info := inspect(t, []byte(data))
	if p := info.Problems("x.csv"); p.Count > 0 {
		return fmt.Sprintf("%q: %s", data, p.List[0].String())
	}
	if info.Encoding != UTF8 && len(info.Warnings("x.csv", true)) != 1 {
		return fmt.Sprintf("%q: no warning with an example", data)
	}
	return ""
}

// TestOtherEncodingsAreRefused: a file that Windows-1252 would decode into wrong letters
// is refused with its line and text.
func TestOtherEncodingsAreRefused(t *testing.T) {
	for _, c := range []struct {
		name  string
		enc   encoding.Encoding
		texts []string
	}{
		{"Mac OS Roman", charmap.Macintosh, []string{"José Muñoz", "Núñez López", "Ramón", "Müller", "Hélène", "ESPAÑA", "São Paulo", "Córdoba", "José", "Günther", "März"}},
		{"CP850", charmap.CodePage850, []string{"José Muñoz", "Núñez", "García", "Ramón", "ESPAÑA", "Müller", "schön", "Märkte", "Hélène", "Lefèvre", "François"}},
		{"CP437", charmap.CodePage437, []string{"José Muñoz", "Núñez", "García", "Ramón", "ESPAÑA", "Müller"}},
		{"CP1250", charmap.Windows1250, []string{"Wałęsa", "Łukasz", "Paweł", "Żółć", "Wąsowski", "Kościuszko Łódź", "Robert Świątek"}},
		{"CP1251", charmap.Windows1251, []string{"Иван", "Мария Петрова", "Привет, Анна", "Ольга"}},
		{"CP1253", charmap.Windows1253, []string{"Γιώργος", "Μαρία Παππά"}},
		{"KOI8-R", charmap.KOI8R, []string{"Иван", "Мария"}},
		{"Shift JIS", japanese.ShiftJIS, []string{"田中", "山田太郎", "東京都"}},
		{"EUC-JP", japanese.EUCJP, []string{"田中", "山田太郎"}},
		{"ISO 8859-15", charmap.ISO8859_15, []string{"50 €"}},
	} {
		for _, text := range c.texts {
			data, err := c.enc.NewEncoder().String(text)
			if err != nil {
				t.Fatal(c.name, text, err)
			}
			info := inspect(t, []byte("contactCode,name\n34666777001,"+data+"\n"))
			p := info.Problems("x.csv")
			if p.Count == 0 {
				t.Errorf("%s: %q is read as Windows-1252 %q", c.name, text, data)
				continue
			}
			if one := p.List[0]; one.Code != "encoding-unknown" && one.Code != "encoding-mixed" || one.Line != 2 {
				t.Errorf("%s: %q: got %+v", c.name, text, one)
			}
		}
	}
}
