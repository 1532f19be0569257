import ByteIO
import JSON
import Testing

@Suite("JSON: writing")
struct JSONWritingTests {
    private let document: JSONValue = ["b": [1, 2.5, .null], "a": ["é": "中😀"], "empty": [[], [:]], "t": true]

    @Test("the three styles")
    func styles() {
        #expect(document.serialized() == #"{"b":[1,2.5,null],"a":{"é":"中😀"},"empty":[[],{}],"t":true}"#)
        #expect(
            document.serialized(.python)
                == #"{"b": [1, 2.5, null], "a": {"\u00e9": "\u4e2d\ud83d\ude00"}, "empty": [[], {}], "t": true}"#)
        #expect(
            document.serialized(.pretty) == """
                {
                  "b": [
                    1,
                    2.5,
                    null
                  ],
                  "a": {
                    "é": "中😀"
                  },
                  "empty": [
                    [],
                    {}
                  ],
                  "t": true
                }
                """)
    }

    @Test("what is written reads back", arguments: [JSONStyle.compact, .python, .pretty])
    func roundTrip(style: JSONStyle) throws {
        #expect(try JSONValue.parse(document.serialized(style)) == document)
        let everyScalar = (0..<0x3000).compactMap(Unicode.Scalar.init).map(Character.init)
        let text = JSONValue.string(String(everyScalar))
        let back = try JSONValue.parse(text.serialized(style))
        // Strings compare by canonical equivalence; scalars are what counts here.
        #expect(back.string.map { Array($0.unicodeScalars) } == text.string.map { Array($0.unicodeScalars) })
    }

    @Test("control characters never appear as they are", arguments: [JSONStyle.compact, .python, .pretty])
    func controls(style: JSONStyle) {
        let all = String(String.UnicodeScalarView((0..<0xA0).compactMap { Unicode.Scalar(UInt8($0)) }))
        let text = JSONValue.string(all).serialized(style)
        #expect(!text.unicodeScalars.contains { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) })
        #expect(text.hasPrefix(#""\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000b\f\r\u000e"#))
    }

    @Test("numbers made from values")
    func numbers() {
        #expect(JSONValue.array([.int(-3), .double(1), .double(0.1), .double(1e22)]).serialized() == "[-3,1.0,0.1,1e+22]")
        #expect(JSONValue.array([.double(.nan), .double(-.infinity)]).serialized() == "[NaN,-Infinity]")
    }
}
