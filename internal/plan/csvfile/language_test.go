package csvfile

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"pgregory.net/rapid"
)

// westernTexts returns ordinary cells of lists in the languages that Windows-1252 is used for.
func westernTexts() map[string][]string {
	return map[string][]string{
		"Spanish": {"José Muñoz", "María Ángeles", "Peña", "C/ Mayor, nº 3, 1.ª planta", "L’Hospitalet", "¿Cómo está?", "¡Hola! Tu cita es mañana…", "BAR «CAFÉ»",
			"«CAFÉ»", "CAFÉ…", "Íñigo", "Núñez", "GARCÍA NÚÑEZ", "50 € más", "5€/mes", "un 10 % más", "pingüino", "“así” dijo", "dijo —casi— nada", "Ñandú", "Cº. Viejo, s/n", "3.º B", "25 °C",
			"80 m²", "Mª José", "Marca® nueva™", "Madrid–Barcelona", "lunes 9–14 h", "¿y tú?", "© 2026 Tiendas", "el ‘Día’", "10 000 €"},
		"Catalan": {"col·lega", "Paral·lel", "L’Hospitalet de Llobregat", "Núria Puigdomènech", "à", "Òscar", "això és teu", "l’«Ateneu»", "Plaça d’Espanya, 4t 2a", "Sant Cugat del Vallès",
			"ÀNGELS", "col•lega", "Xàtiva", "raïm", "pingüí", "INTEL·LIGENT", "què fas?", "n.º 7"},
		"French": {"Hélène Lefèvre", "François", "à", "Noël", "cœur", "ŒUVRE", "d’Œuvre", "l’été", "« Bonjour »", "l’«hôtel»", "n° 3", "N° 12", "1ʳᵉ", "Ça va ?", "naïve", "L’HAŸ-LES-ROSES", "Île-de-France",
			"déjà vu", "été", "âgé", "quelqu’un", "puisqu’a dit", "presqu’île", "prud’homme", "ÉTÉ", "M. Dupré", "12 h 30", "prix : 5 €", "Être ou…", "5ème étage", "Saint-Étienne", "aujourd’hui", "ça… là", "PÈRE NOËL", "½ tarif", "m³"},
		"Portuguese": {"João", "São Paulo", "Conceição", "Avô", "AVÓ", "NÃO", "CORAÇÕES", "pão de ló", "1.º andar", "2.ª via", "às 9 h", "Você", "Fátima", "Antônio", "“olá”", "ação", "Guimarães", "mês", "à", "Goiânia"},
		"German": {"Müller", "Größe", "Straße", "STRAẞE", "Ö", "Jürgen Groß", "„Hallo“, sagte er", "»Wort«", "‚halb‘", "Österreich", "ÄRZTE", "Köln – Bonn", "20 °C", "§ 5 Abs. 2", "Stück à 5 €", "Fußgänger",
			"„Spaß“", "»Spaß«", "›Spaß‹", "Peter‘s", "Yûsiv", "Rûken", "München", "grün", "Übung", "Mo–Fr", "½ Liter", "10 µg", "Weiß & Söhne", "so“", "Café"},
		"Italian": {"Nicolò", "Città di Castello", "perché no?", "È già lì", "più caffè", "lunedì 9–14", "virtù", "Mosè", "Cantù", "Forlì", "GESÙ", "qualità", "dell’Università", "c’è", "Sarò", "altr’anno", "quest’estate"},
		"Dutch":   {"Daniël", "geïnteresseerd", "coördinatie", "één", "vóór", "ruïne", "Renée", "reünie", "crème fraîche", "knieën", "Zoë", "’s-Hertogenbosch", "België", "hè", "enquête", "foto’s", "baby’tje"},
		"Danish and Norwegian": {"Søren Kjærgaard", "Åse", "Jørgen Østergård", "Ærø", "blåbærgrød", "Sjælland", "Bjørn Ødegård", "HÅKON", "søndag", "miljøområde", "radioavis på øen", "Brønnøysund", "Nexø", "Interiør", "småøyer",
			"Tromsø", "først", "spørgsmål", "Næstved", "KØBENHAVN", "køer", "Tøyen", "søavn", "én"},
		"Swedish and Finnish": {"Åsa Öberg", "Göran", "Malmö", "Västerås", "Björk", "två år", "Hämeenlinna", "Järvinen", "Töölö", "Skäret", "idé", "ÅKE", "Šakkinen", "hyvää päivää"},
		"Icelandic and Faroese": {"Guðrún Þorsteinsdóttir", "Sigurður", "Þór", "Eyþór", "Arnþór", "Hafþór Júlíus", "Ásþór", "Kýrholt", "Lýður", "Hlýnur", "Mývatn", "Reykjavík", "Ísafjörður", "Æsa",
			"Vík í Mýrdal", "alþingi", "íþrótt", "Tórshavn", "Sørvágur", "ÞÓRÐUR", "Guðrún Þ. Jónsdóttir", "hýbýli", "nýár", "byggð"},
		"Estonian":         {"Tõnu Õunapuu", "Kõiv", "Võru", "Pärnu", "Jõhvi", "Põlva", "ÕISMÄE", "söök", "Ülle", "lõbus", "Mõis", "Šaškin", "Žanna", "mõõt"},
		"Portuguese names": {"Sebastião Camões", "Estêvão", "Lousã", "João Brandão", "Guimarães", "Leões", "Abraão", "Falcão", "Irmãs", "cãibra", "MAGALHÃES", "Põe", "Simões", "Órfã"},
		"French names":     {"Ève Lœuillet", "Cœur d’Alène", "Hélène Crèvecœur", "sœur", "œdème", "œil", "mœurs", "bœuf", "Zoé Lefèvre", "Où es-tu ?", "août", "flûte", "Gisèle Père", "Laëtitia", "ex æquo", "DÛMENT"},
		"Gaelic":           {"Dòmhnall", "Mìcheal", "Seònaid", "Rùnaire", "Gàidhlig", "Cùil Lodair", "Ó Súilleabháin", "Pádraig", "Síle Ní Mháille"},
		"foreign names":    {"Shi’ite", "rock’n’roll", "ma’am", "NESTLÉ® y Peña", "Novotný", "Bogotá", "Aýna", "Ñemby", "Thúy", "Zürich", "Łódź"},
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

// TestAFileThatEndsInALetter: as Windows-1252 its last letter is read, and as UTF-8 that is cut within it, it is
// called cut, though every other byte is ASCII. Where both readings are likely the first byte is taken for a letter:
// á of sofá and Ê also begin ẞ and ʳ.
func TestAFileThatEndsInALetter(t *testing.T) {
	for language, texts := range westernTexts() {
		for _, text := range texts {
			first := nextHigh([]byte(text), 0)
			if first == len(text) {
				continue
			}
			if data, err := charmap.Windows1252.NewEncoder().String(text); err == nil {
				if why := refusal1252(t, "name\n"+data); why != "" {
					t.Errorf("%s: %s", language, why)
				}
			}
			data := "name\n" + text[:first+1]
			info := inspect(t, []byte(data))
			if strings.ContainsAny(text, "ẞʳ") {
				continue
			}
			if p := info.Problems("x.csv"); p.Count == 0 || p.List[0].Code != "row-cut-off" {
				t.Errorf("%s: %q: got %v, want it called cut", language, data, p.List)
			}
		}
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
		{"Mac OS Roman", charmap.Macintosh, []string{"José Muñoz", "Núñez López", "Ramón", "Müller", "Hélène", "ESPAÑA", "São Paulo", "Córdoba", "José", "Günther", "März", "María", "García", "Martínez", "Élodie", "JOSÉ", "Weiß"}},
		{"CP850", charmap.CodePage850, []string{"José Muñoz", "Núñez", "García", "Ramón", "ESPAÑA", "Müller", "schön", "Märkte", "Hélène", "Lefèvre", "François", "Jörg", "Söhne", "Søren"}},
		{"CP437", charmap.CodePage437, []string{"José Muñoz", "Núñez", "García", "Ramón", "ESPAÑA", "Müller"}},
		{"CP1250", charmap.Windows1250, []string{"Jiří", "Győző", "Wałęsa", "Łukasz", "Paweł", "Żółć", "Wąsowski", "Kościuszko Łódź", "Robert Świątek"}},
		{"CP1251", charmap.Windows1251, []string{"Иван", "Мария Петрова", "Привет, Анна", "Ольга"}},
		{"CP1253", charmap.Windows1253, []string{"Γιώργος", "Μαρία Παππά"}},
		{"KOI8-R", charmap.KOI8R, []string{"Иван", "Мария"}},
		{"Shift JIS", japanese.ShiftJIS, []string{"田中", "山田太郎", "東京都"}},
		{"EUC-KR", korean.EUCKR, []string{"김철수", "영희"}},
		{"GBK", simplifiedchinese.GBK, []string{"张伟", "作家", "王芳"}},
		{"CP866", charmap.CodePage866, []string{"Галина", "Иван"}},
		{"CP874", charmap.Windows874, []string{"สมชาย"}},
		{"EUC-JP", japanese.EUCJP, []string{"田中", "山田太郎"}},
		{"CP850 of an Italian", charmap.CodePage850, []string{"Nicolò, perché", "c' è posta", "ha però detto", "il caffè è pronto"}},
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
			one := p.List[0]
			if one.Code != "encoding-unknown" && one.Code != "encoding-mixed" {
				t.Errorf("%s: %q: got code %q, want encoding-unknown or encoding-mixed", c.name, text, one.Code)
			}
			if one.Line != 2 {
				t.Errorf("%s: %q: got line %d, want 2", c.name, text, one.Line)
			}
		}
	}
}

// legacySentences returns ordinary messages, and the encodings that their authors' systems use besides UTF-8.
func legacySentences() []struct {
	language  string
	encodings []encoding.Encoding
	texts     []string
} {
	type e = []encoding.Encoding
	western := e{charmap.Windows1252, charmap.Macintosh, charmap.CodePage850, charmap.CodePage437}
	eastern := e{charmap.Windows1250, charmap.ISO8859_2, charmap.CodePage852}
	return []struct {
		language  string
		encodings []encoding.Encoding
		texts     []string
	}{
		{"Spanish", western, []string{"Hola María, tu cita es mañana a las 9", "José Núñez: su pedido llegó ayer", "Atención: cambió el horario", "¿Podrás venir el sábado?", "Iñaki y Begoña Ibáñez"}},
		{"Catalan", western[:3], []string{"Bon dia Núria, la teva cita és demà", "Això és per a l'Òscar", "La reunió serà a l'Hospitalet", "Què fas dissabte a la nit a Lleó?", "Gràcies i bones festes de Nadal, Àngels"}},
		{"French", western, []string{"Bonjour Hélène, votre colis est arrivé", "Réservé à nos clients fidèles", "François, ça va être très bien", "Votre rendez-vous a été déplacé", "Joyeux Noël à toute la famille Lefèvre"}},
		{"Portuguese", western[:3], []string{"Olá João, a sua consulta é amanhã", "Promoção até sábado em São Paulo", "Não perca: três pares por dois", "O seu cartão está à espera", "A Conceição já chegou?"}},
		{"German", western, []string{"Guten Tag Herr Müller, Ihr Paket ist für Sie da", "Schöne Grüße aus Köln", "Die Größe ist verfügbar", "Fräulein Jäger hat für Dienstag zugesagt", "Wir würden uns sehr freuen"}},
		{"Italian", western, []string{"Ciao Nicolò, il tuo ordine è pronto", "La qualità è più importante", "Perché no? Sarà già lì lunedì", "C'è posta per te", "Andrà tutto bene, verrò martedì"}},
		{"Dutch", western, []string{"Beste Daniël, er is één pakket", "Wij zijn geïnteresseerd", "Uw coördinator heet Renée", "Vóór vrijdag in België", "Hebben de patiënten hun reçu?"}},
		{"Danish", western[:3], []string{"Kære Søren, din tid er på lørdag", "Første gang på Ærø", "Spørgsmål? Ring til Jørgen Kjær", "Vi ses på søndag i København", "Husk at få grøn kål"}},
		{"Swedish", western, []string{"Hej Åsa, din tid är på måndag", "Två nya böcker från Malmö", "Vi hörs på lördag, hälsningar Göran", "Räkningen är på väg", "Köp nu, få två"}},
		{"Polish", eastern, []string{"Dzień dobry, Paweł, twoja wizyta jest jutro", "Żółta paczka z Łodzi już czeka", "Pozdrawiam, Małgorzata Wąs", "Prosimy się zgłosić", "Dziękujemy za zamówienie w sobotę"}},
		{"Czech", eastern, []string{"Dobrý den, pane Dvořák, váš balík přišel", "Schůzka je v úterý v Brně, Jiří Němec", "Děkujeme za nákup, Kateřina", "Příští středu máme zavřeno", "Objednávka čeká na odběr"}},
		{"Hungarian", eastern, []string{"Kedves Erdős László, az időpont hétfőn lesz", "A csomag megérkezett Győrbe", "Köszönjük a vásárlást, Szűcs Jenő", "Jövő kedden is nyitva leszünk", "Utolsó lehetőség a gyűjtők számára"}},
		{"Romanian", eastern[:2], []string{"Bună ziua, Ionuţ, programarea este mîine", "Comanda aşteaptă la Constanţa", "Vă mulţumim, familia Brânză", "Aveţi până sâmbătă", "Sărbători fericite în Bucureşti"}},
		{"Croatian", eastern, []string{"Dragi Ivane Kovačiću, narudžba je stigla", "Vaš termin je sljedeći četvrtak", "Hvala, Anđela Đurić", "Čestit Božić i puno sreće", "Možete li doći u kuću?"}},
		{"Turkish", e{charmap.Windows1254, charmap.ISO8859_9}, []string{"Sayın Ayşe Yılmaz, randevunuz yarın", "Siparişiniz yola çıktı, Barış", "Doğum gününüz kutlu olsun, Gülşen", "İyi akşamlar, Işık Öztürk", "Hafta sonu açığız"}},
		{"Lithuanian", e{charmap.Windows1257}, []string{"Laba diena, Žydrūnai, jūsų siunta atvyko", "Susitikimas šeštadienį", "Ačiū, Rūta Kazlauskaitė", "Iki pasimatymo ketvirtadienį Šiauliuose", "Sveikiname su gražia švente"}},
		{"Russian", e{charmap.Windows1251, charmap.KOI8R, charmap.CodePage866, charmap.MacintoshCyrillic}, []string{"Здравствуйте, Иван, ваш заказ готов", "Скидка до субботы", "Спасибо, Мария Петрова", "Ждём вас завтра", "Приходите"}},
		{"Greek", e{charmap.Windows1253, charmap.ISO8859_7}, []string{"Καλημέρα Γιώργο, το ραντεβού σας είναι αύριο", "Ευχαριστούμε, Μαρία Παππά", "Η παραγγελία έφτασε", "Προσφορά ως το Σάββατο", "Τα λέμε"}},
		{"Japanese", e{japanese.ShiftJIS, japanese.EUCJP}, []string{"田中様、ご予約は明日です", "ありがとうございます", "東京都からのお知らせ", "山田太郎", "お待ちしております"}},
	}
}

// TestDashesAndDotsBesideLetters: what is rare between two small letters is read where letters prove the encoding.
func TestDashesAndDotsBesideLetters(t *testing.T) {
	for _, text := range []string{"norte–sur, José", "mañana…vamos", "José,niño…ven"} {
		data, err := charmap.Windows1252.NewEncoder().String("contactCode,name\n1," + strings.ReplaceAll(text, ",", "\n1,") + "\n")
		if err != nil {
			t.Fatal(err)
		}
		if why := refusal1252(t, data); why != "" {
			t.Error(why)
		}
	}
}

// TestLegacySentences: a short list in a legacy encoding is read as it was written, or
// refused; Windows-1252 is always read.
func TestLegacySentences(t *testing.T) {
	for _, c := range legacySentences() {
		for _, enc := range c.encodings {
			t.Run(fmt.Sprint(c.language, " ", enc), func(t *testing.T) {
				data, err := enc.NewEncoder().String("contactCode;text\r\n34666777001;" + strings.Join(c.texts, "\r\n34666777002;") + "\r\n")
				if err != nil {
					t.Fatal(err)
				}
				why := refusal1252(t, data)
				if enc == charmap.Windows1252 && why != "" {
					t.Error(why)
				}
				if enc != charmap.Windows1252 && why == "" {
					t.Errorf("%q is read as Windows-1252", data)
				}
			})
		}
	}
}

// TestUncertainEncodingShowsItsWord: one word proves nothing, so the warning shows the
// word that its author would find wrong.
func TestUncertainEncodingShowsItsWord(t *testing.T) {
	for _, c := range []struct {
		enc        encoding.Encoding
		text, want string
	}{
		{charmap.Windows1254, "Öztürk,Çiçek,Ayşe", "Ayþe"},
		{charmap.Windows1254, "Doğan,Gül,Barış", "Barýþ"},
		{charmap.Windows1250, "László,Erdős", "Erdõs"},
		{charmap.Windows1250, "Lukáš,Jiří", "Jiøí"},
		{charmap.CodePage850, "Anna,Città", "Citt…"},
		{charmap.Windows1252, "Müller,Jørgen", "Jørgen"},
	} {
		data, err := c.enc.NewEncoder().String("contactCode,name\n1," + strings.ReplaceAll(c.text, ",", "\n1,") + "\n")
		if err != nil {
			t.Fatal(err)
		}
		info := inspect(t, []byte(data))
		if p := info.Problems("x.csv"); p.Count > 0 {
			t.Errorf("%q is refused: %s", c.text, p.List[0].String())
			continue
		}
		if got := info.example.text; got != c.want {
			t.Errorf("%q: the warning shows %q, want %q", c.text, got, c.want)
		}
	}
}
