import ByteIO
import Glibc
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

    @Test("marks that reorder text are escaped where people read")
    func reordering() {
        let text: JSONValue = "a\u{202E}b\u{2066}\u{FEFF}"
        #expect(text.serialized(.pretty) == #""a\u202eb\u2066\ufeff""#)
        #expect(text.serialized() == "\"a\u{202E}b\u{2066}\u{FEFF}\"")
    }

    @Test("depth costs no stack: writing the deepest document on a thread of 512 KiB")
    func depthOnSmallStack() throws {
        let text = String(repeating: #"[{"a":"#, count: 256) + "1" + String(repeating: "}]", count: 256)
        let result = try onSmallStack {
            guard let value = try? JSONValue.parse(text) else { return false }
            return value.serialized() == text && (try? JSONValue.parse(value.serialized(.pretty))) == value
        }
        #expect(result)
    }
}

/// What `body` gives on a thread with a stack of 512 KiB, the least that secondary threads have anywhere.
private func onSmallStack(_ body: @escaping @Sendable () -> Bool) throws -> Bool {
    final class Call {
        let body: @Sendable () -> Bool
        var result = false
        init(_ body: @escaping @Sendable () -> Bool) { self.body = body }
    }
    let call = Call(body)
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, 512 << 10)
    var thread = pthread_t()
    let status = pthread_create(
        &thread, &attributes,
        { pointer in
            let call = Unmanaged<Call>.fromOpaque(pointer!).takeUnretainedValue()
            call.result = call.body()
            return nil
        }, Unmanaged.passUnretained(call).toOpaque())
    try #require(status == 0)
    pthread_join(thread, nil)
    return call.result
}
