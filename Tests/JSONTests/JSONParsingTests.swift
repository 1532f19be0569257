import ByteIO
import JSON
import Testing

@Suite("JSON: parsing")
struct JSONParsingTests {
    private func number(_ text: String) throws -> JSONValue { try JSONValue.parse(text) }

    @Test(
        "accepted",
        arguments: [
            (#"{}"#, [:]), (#"[]"#, []), (#" [ ] "#, []), ("\t\r\n null \n", .null), (#"true"#, true), (#"false"#, false), (#""""#, ""),
            (#"[1,[2,{"a":[]}],{}]"#, [1, [2, ["a": []]], [:]]),
            (#"{"b":1,"a":{"c":null}}"#, ["b": 1, "a": ["c": .null]]),
            (#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{C}\n\r\t"),
            (#""\u00e9\u4E2D\ud83d\ude00""#, "é中😀"), (#""é中😀""#, "é中😀"), (#""\u0000""#, "\0"),
            // Lone surrogates, in every place.
            (#""\ud83d""#, "\u{FFFD}"), (#""\ude00x""#, "\u{FFFD}x"), (#""\ud83dx""#, "\u{FFFD}x"), (#""\ud83d\n""#, "\u{FFFD}\n"),
            (#""\ud83d\ud83d\ude00""#, "\u{FFFD}😀"), (#""\ud83d\u0041""#, "\u{FFFD}A"),
            ("\u{FEFF}[]", []),
        ] as [(String, JSONValue)])
    func accepted(text: String, value: JSONValue) throws {
        #expect(try JSONValue.parse(text) == value)
    }

    @Test(
        "numbers keep their spelling",
        arguments: [
            ("0", 0), ("-0", -0.0), ("12", 12), ("-7", -7), ("0.5", 0.5), ("1e3", 1000), ("1E+3", 1000), ("25e-1", 2.5), ("-1.50", -1.5),
            ("123456789012345678901234567890", 1.2345678901234568e29), ("0.1000", 0.1), ("1e999", .infinity), ("Infinity", .infinity),
            ("-Infinity", -.infinity),
        ] as [(String, Double)])
    func numbers(text: String, value: Double) throws {
        let parsed = try JSONValue.parse(text)
        #expect(parsed.double == value)
        #expect(parsed.serialized() == text)
        #expect(try JSONValue.parse("[\(text) ]").serialized() == "[\(text)]")
    }

    @Test("NaN and exact integers")
    func constants() throws {
        #expect(try JSONValue.parse("NaN").double?.isNaN == true)
        #expect(try JSONValue.parse("[NaN,-Infinity]").serialized(.python) == "[NaN, -Infinity]")
        #expect(try JSONValue.parse("9223372036854775807").int == Int.max)
        #expect(try JSONValue.parse("9223372036854775808").int == nil)
        #expect(try JSONValue.parse("1e999").int == nil)
        #expect(try JSONValue.parse("2.0").int == 2)
        #expect(try JSONValue.parse("2.0").number?.isInteger == false)
    }

    @Test(
        "refused",
        arguments: [
            ("", "bad-json", 0), ("  ", "bad-json", 2), ("nul", "bad-json", 3), ("nulL", "bad-json", 3), ("True", "bad-json", 0),
            ("NAN", "bad-json", 1), ("-Inf", "bad-json", 4), ("+1", "bad-json", 0), ("01", "bad-json", 1), ("-", "bad-json", 1),
            ("-01", "bad-json", 2), (".5", "bad-json", 0), ("1.", "bad-json", 2), ("1.e3", "bad-json", 2), ("1e", "bad-json", 2),
            ("1e+", "bad-json", 3), ("0x1", "bad-json", 1), ("1 2", "bad-json", 2), ("[1]]", "bad-json", 3), ("{}x", "bad-json", 2),
            ("[", "bad-json", 1), ("[1", "bad-json", 2), ("[1,", "bad-json", 3), ("[1,]", "bad-json", 3), ("[,1]", "bad-json", 1),
            ("[1 2]", "bad-json", 3), ("[1}", "bad-json", 2), ("{", "bad-json", 1), ("{]", "bad-json", 1), ("{1:2}", "bad-json", 1),
            (#"{"a"}"#, "bad-json", 4), (#"{"a":}"#, "bad-json", 5), (#"{"a":1,}"#, "bad-json", 7), (#"{"a":1]"#, "bad-json", 6),
            (#"{'a':1}"#, "bad-json", 1), ("// x\n1", "bad-json", 0), (#"""#, "bad-json", 1), (#""a"#, "bad-json", 2),
            (#""a\"#, "bad-json", 3),
            (#""a\""#, "bad-json", 4), (#""\x""#, "bad-json", 2), (#""\u12""#, "bad-json", 5), (#""\u12G4""#, "bad-json", 5),
            (#""\ud83d\u1""#, "bad-json", 10), ("\"a\nb\"", "bad-json", 2), ("\"\u{0}\"", "bad-json", 1), ("\"\u{1F}\"", "bad-json", 1),
            ("\u{FEFF}\u{FEFF}1", "bad-json", 3),
            (#"{"a":1,"b":2,"a":3}"#, "duplicate-key", 13), (#"[{"a":1, "\u0061":1}]"#, "duplicate-key", 9),
        ] as [(String, FormatError.Code, UInt64)])
    func refused(text: String, code: FormatError.Code, offset: UInt64) {
        let error = #expect(throws: FormatError.self) { try JSONValue.parse(text) }
        #expect(error?.code == code)
        #expect(error?.offset == offset)
        #expect(error?.format == "json")
    }

    @Test(
        "bytes that are no UTF-8",
        arguments: [
            ([0x80], 1), ([0x61, 0xFF], 2), ([0xC3], 1), ([0xC0, 0x80], 1), ([0xED, 0xA0, 0x80], 1), ([0xF4, 0x90, 0x80, 0x80], 1),
            ([0xC3, 0xA9, 0xE4, 0xB8], 3), ([0x5C, 0x6E, 0xE4, 0xB8, 0x41], 3), ([0xF0, 0x9F, 0x98, 0x80, 0xF0, 0x9F, 0x98], 5),
        ] as [([UInt8], UInt64)])
    func badText(inside: [UInt8], offset: UInt64) {
        let error = #expect(throws: FormatError.self) { try JSONValue.parse([0x22] + inside + [0x22]) }
        #expect(error?.code == "bad-text")
        #expect(error?.offset == offset)
    }

    @Test("a key among many is found again, also past the size where objects get a table")
    func manyKeys() throws {
        let text = "{" + (0..<40).map { "\"k\($0)\":\($0)" }.joined(separator: ",") + "}"
        var object = try #require(try JSONValue.parse(text).object)
        #expect(object.keys == (0..<40).map { "k\($0)" })
        #expect(object["k39"] == 39)
        object["k3"] = nil
        #expect(object["k3"] == nil && object["k4"] == 4 && object["k39"] == 39 && object.count == 39)
        let error = #expect(throws: FormatError.self) { try JSONValue.parse(String(text.dropLast()) + ",\"k20\":0}") }
        #expect(error?.code == "duplicate-key")
    }

    @Test("depth", arguments: [("[", "]"), ("{\"a\":", "}")])
    func depth(open: String, close: String) throws {
        func nested(_ depth: Int) -> String {
            String(repeating: open, count: depth) + "[]" + String(repeating: close, count: depth)
        }
        let value = try JSONValue.parse(nested(511))
        #expect(value.serialized() == nested(511))
        let error = #expect(throws: FormatError.self) { try JSONValue.parse(nested(512)) }
        #expect(error?.code == "too-deep")
        #expect(error?.offset == UInt64(512 * open.utf8.count))
        // A hostile document of a million brackets is refused as early.
        let hostile = #expect(throws: FormatError.self) { try JSONValue.parse(String(repeating: open, count: 1_000_000)) }
        #expect(hostile?.code == "too-deep")
    }

    @Test("size")
    func size() throws {
        let error = #expect(throws: FormatError.self) { try JSONValue.parse("[1,2]", limits: JSONLimits(byteCount: 4)) }
        #expect(error?.code == "too-large")
        #expect(try JSONValue.parse("[1,2]", limits: JSONLimits(byteCount: 5)) == [1, 2])
    }

    @Test("a 10 MB document takes no time to speak of")
    func speed() throws {
        let row = #"{"name":"layer_12/dense/kernel","shape":[128,256],"dtype":"float32","trainable":true,"scale":1.25e-3},"#
        let text = "[" + String(repeating: row, count: 10_000_000 / row.utf8.count) + "null]"
        let bytes = Array(text.utf8)
        let start = ContinuousClock.now
        let value = try JSONValue.parse(bytes)
        let parsed = ContinuousClock.now
        #expect(value.serialized() == text)
        let written = ContinuousClock.now
        // Far above what is expected (0.3 s each, optimised), so that a busy machine doesn't fail it.
        #expect(parsed - start < .seconds(30), "parsing \(parsed - start)")
        #expect(written - parsed < .seconds(30), "writing \(written - parsed)")
    }
}
