import ModelIR
import Testing

/// SplitMix64: the same numbers on every machine.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

@Suite struct GraphTextMutationTests {
    static let fragments = [
        "9223372036854775807", "-9223372036854775808", "4611686018427387904", "0", "-1", "1", "nan", "-inf", "1e999", "(", ")", "[", "]",
        "{", "}",
        "%", "@", "\"", "\\", "\\u{", "//", ":", ",", "=", " ", "\n", "batch", "(batch * 9223372036854775807)", "ceil(time / 3)", "max(",
        "floor(batch / 0)", "f32", "f32[]", "f64[0]", "i64[2]", "bool", "parameter", "output", "layer", "axis=-1", "axes=[0]", "%0",
        "%x0/0",
        "keeps_dimensions", "padding=same", "value=", "é", "\u{0}",
    ]

    private func mutate(_ text: String, _ generator: inout SplitMix) -> String {
        var bytes = Array(text.utf8)
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            let start = Int.random(in: 0...bytes.count, using: &generator)
            let end = min(start + Int.random(in: 0...12, using: &generator), bytes.count)
            switch Int.random(in: 0..<5, using: &generator) {
            case 0: bytes.removeSubrange(start..<end)
            case 1: bytes.insert(contentsOf: bytes[start..<end], at: Int.random(in: 0...bytes.count, using: &generator))
            case 2: bytes.replaceSubrange(start..<end, with: Self.fragments.randomElement(using: &generator)!.utf8)
            case 3 where start < bytes.count: bytes[start] = UInt8.random(in: 0...255, using: &generator)
            default:
                // A whole number for another: what keeps the grammar reaches furthest into inference.
                guard let digit = bytes[start...].firstIndex(where: { (0x30...0x39).contains($0) }) else { continue }
                let run = bytes[digit...].prefix { (0x30...0x39).contains($0) }
                bytes.replaceSubrange(run.indices, with: Self.fragments[Int.random(in: 0..<6, using: &generator)].utf8)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Whatever a text says, it gives a graph that reads back, or an error inside the text.
    @Test func mutationsNeverCrash() throws {
        var generator = SplitMix(state: 20_240_611)
        let samples = Samples.all
        var accepted = 0
        for _ in 0..<5_000 {
            let chosen = (0..<Int.random(in: 1...4, using: &generator)).map { _ in samples.randomElement(using: &generator)! }
            let text = mutate(try Samples.graph(of: chosen).text, &generator)
            switch Result(catching: { () throws(GraphTextError) in try Graph.parse(text) }) {
            case .success(let graph):
                // By text, since NaN equals nothing.
                let printed = graph.text
                #expect(try Graph.parse(printed).text == printed)
                accepted += 1
            case .failure(let error):
                #expect(error.line >= 1 && error.column >= 1 && !error.message.isEmpty)
                #expect(error.line <= text.utf8.count { $0 == 0x0A } + 1)
            }
        }
        #expect(accepted > 100, "mutations should reach past the grammar")
    }

    @Test func everyPrefixIsRefused() throws {
        let text = Array(try Samples.graph(of: Array(Samples.all.prefix(3))).text.utf8)
        for length in 0..<text.count - 2 {
            #expect(throws: GraphTextError.self) { try Graph.parse(String(decoding: text[..<length], as: UTF8.self)) }
        }
    }

    /// Extreme numbers in every attribute and dimension of every op, one at a time and all at once.
    @Test func extremeNumbersNeverTrap() throws {
        for sample in Samples.all {
            let text = Array(try Samples.graph(of: [sample]).text.utf8)
            let header = text.firstIndex(of: 0x0A)! + 1
            var runs: [Range<Int>] = []
            for i in header..<text.count where (0x30...0x39).contains(text[i]) {
                if runs.last?.upperBound == i {
                    runs[runs.count - 1] = runs[runs.count - 1].lowerBound..<i + 1
                } else {
                    runs.append(i..<i + 1)
                }
            }
            for extreme in ["9223372036854775807", "-9223372036854775808", "4611686018427387904", "0"] {
                for run in runs {
                    var bytes = text
                    bytes.replaceSubrange(run, with: extreme.utf8)
                    _ = try? Graph.parse(String(decoding: bytes, as: UTF8.self))
                }
            }
        }
    }

    @Test func extremeTypesNeverTrap() {
        let dims: [Dim] = [
            0, 1, .fixed(.max), .fixed(1 << 62), time, .product(time, .fixed(.max)), .sum(time, .fixed(.min)),
        ]
        for sample in Samples.all {
            for dim in dims {
                for position in sample.inputs.indices {
                    for axis in sample.inputs[position].shape.dims.indices {
                        var inputs = sample.inputs
                        inputs[position].shape.dims[axis] = dim
                        _ = try? sample.op.inferTypes(inputs)
                        _ = try? sample.op.inferTypes(inputs.map { ValueType($0.dtype, Shape($0.shape.dims.map { _ in dim })) })
                    }
                }
            }
        }
    }
}
