package main

import (
	"fmt"
	"iter"

	"golang.org/x/text/currency"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// languages are those in which every region is named, in the order in which the
// program shows them.
var languages = []language.Tag{
	language.English,
	language.German,
	language.French,
	language.Spanish,
	language.Japanese,
	language.Arabic,
	language.Russian,
	language.Chinese,
}

// allRegions yields every region of the world that the Unicode CLDR names: the
// countries and territories of ISO 3166 by their two letters, and the groups of
// UN M.49 (001 World, 150 Europe, 419 Latin America) by their three digits.
//
// golang.org/x/text has no list to ask for, so every code that could be one is
// tried. What it calls by another code today (UK is GB, DD is DE, and most of
// the three-digit codes have two letters) is skipped, so that each region comes
// once, and so are the codes for private use.
func allRegions() iter.Seq[Region] {
	return func(yield func(Region) bool) {
		for code := range allCodes() {
			parsed, err := language.ParseRegion(code)
			if err != nil || parsed.IsPrivateUse() {
				continue
			}
			if parsed.Canonicalize().String() != code {
				continue
			}
			if names := namesOf(parsed); names["en"] != "" {
				if !yield(Region{Code: code, Currency: currencyOf(parsed), Names: names}) {
					return
				}
			}
		}
	}
}

// allCodes yields AA to ZZ and 000 to 999.
func allCodes() iter.Seq[string] {
	return func(yield func(string) bool) {
		for first := 'A'; first <= 'Z'; first++ {
			for second := 'A'; second <= 'Z'; second++ {
				if !yield(string([]rune{first, second})) {
					return
				}
			}
		}
		for number := range 1000 {
			if !yield(fmt.Sprintf("%03d", number)) {
				return
			}
		}
	}
}

// namesOf returns the names of a region by language. A language that has no name
// for it is absent.
func namesOf(region language.Region) map[string]string {
	names := make(map[string]string, len(languages))
	for _, tag := range languages {
		if name := display.Regions(tag).Name(region); name != "" {
			names[tag.String()] = name
		}
	}
	return names
}

// currencyOf returns the code of the money that a region pays with, or "" for
// Antarctica, the continents and whoever else has none of their own.
func currencyOf(region language.Region) string {
	unit, ok := currency.FromRegion(region)
	if !ok {
		return ""
	}
	return unit.String()
}
