import ByteIO
import Digests
import FormatKit
import Glibc
import ModelIR
import Testing

@testable import IngotFormat

/// SplitMix64: the same numbers on every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

func randomBytes(_ count: Int, seed: UInt64) -> [UInt8] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
}

/// Floats like a trained layer's: around zero, few exponents, random fractions.
func weights(_ count: Int, seed: UInt64) -> [Float] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { _ in
        (0..<4).reduce(Float(0)) { sum, _ in sum + Float(Int64(truncatingIfNeeded: generator.next()) >> 32) / 0x1p31 } * 0.02
    }
}

/// Writes a checkpoint to a temporary file and hands back its bytes.
func written(_ checkpoint: Checkpoint, level: Int? = nil, threadCount: Int = 1) throws -> [UInt8] {
    var template = Array("/tmp/ingot-test-XXXXXX".utf8CString)
    let directory = try #require(mkdtemp(&template).map { String(cString: $0) })
    let path = "\(directory)/model.ingot"
    defer {
        unlink(path)
        rmdir(directory)
    }
    let output = try OutputFile(target: path, replacesExisting: false)
    try IngotFormat.write(checkpoint, to: output, options: WriteOptions(level: level, threadCount: threadCount))
    try output.commit()
    return try ByteRegion(path: path).bytes()
}

func opened(_ bytes: [UInt8], limits: Limits = Limits()) throws -> Checkpoint {
    try IngotFormat.open(ByteRegion(bytes: bytes), limits: limits)
}

/// Opens a file and reads everything in it.
func readAll(_ bytes: [UInt8]) throws {
    for entry in try opened(bytes).tensors { _ = try entry.tensor.bytes() }
}

/// The error that a body throws, if it is a format's.
func formatError(_ body: () throws -> Void) throws -> FormatError? {
    do {
        try body()
        return nil
    } catch let error as FormatError { return error }
}

/// Strings are equal in Swift if they look the same; in a file only if their bytes are.
private func utf8(_ text: String) -> [UInt8] { Array(text.utf8) }

func expectEqual(_ a: Checkpoint, _ b: Checkpoint, sourceLocation: SourceLocation = #_sourceLocation) throws {
    #expect(a.groups == b.groups, sourceLocation: sourceLocation)
    #expect(a.groups.map { utf8($0.path) } == b.groups.map { utf8($0.path) }, sourceLocation: sourceLocation)
    #expect(a.tensors.map { utf8($0.name) } == b.tensors.map { utf8($0.name) }, sourceLocation: sourceLocation)
    for (x, y) in zip(a.tensors, b.tensors) {
        #expect(x.tensor.dtype == y.tensor.dtype, "\(x.name)", sourceLocation: sourceLocation)
        #expect(x.tensor.shape == y.tensor.shape, "\(x.name)", sourceLocation: sourceLocation)
        #expect(x.attributes == y.attributes, "\(x.name)", sourceLocation: sourceLocation)
        let isEqual = try x.tensor.bytes() == y.tensor.bytes()
        #expect(isEqual, "bytes of \(x.name)", sourceLocation: sourceLocation)
    }
    #expect(a.ties == b.ties, sourceLocation: sourceLocation)
    #expect(a.documents == b.documents, sourceLocation: sourceLocation)
    #expect(a.record == b.record, sourceLocation: sourceLocation)
}

/// Something of everything that a checkpoint can hold, small.
func sampleCheckpoint() -> Checkpoint {
    var checkpoint = Checkpoint(
        format: "hdf5", formatDetail: "HDF5, superblock 0",
        groups: [
            .init(path: "", attributes: everyAttribute()),
            .init(path: "layers"), .init(path: "layers/dense", attributes: [Attribute("units", .text("3"))]), .init(path: "empty"),
        ],
        tensors: [
            .init(
                name: "layers/dense/kernel", tensor: Tensor(weights(60, seed: 1), shape: [20, 3]),
                attributes: [Attribute("trainable", .null(.bool))]),
            .init(name: "layers/dense/bias", tensor: Tensor([Float](repeating: 0.5, count: 20), shape: [20])),
            .init(name: "steps", tensor: Tensor([Int64(7)], shape: [])),
            .init(name: "nothing", tensor: Tensor([Float](), shape: [0, 4])),
            .init(name: "tied", tensor: Tensor(weights(60, seed: 1), shape: [20, 3])),
            .init(name: "codes", tensor: Tensor(dtype: .u16, shape: [64], bytes: (0..<128).map { UInt8($0 % 8) })),
        ])
    checkpoint.ties = [.init(names: ["layers/dense/kernel", "tied"])]
    checkpoint.documents = [
        .init(name: "config.json", bytes: Array(String(repeating: "{\"hidden_size\": 32}\n", count: 12).utf8)),
        .init(name: "tokenizer/empty.txt", bytes: []),
    ]
    checkpoint.record = sampleRecord()
    return checkpoint
}

func sampleRecord() -> Record {
    Record(
        architecture: "keras", naming: "keras2-h5", irVersion: 1, graphText: "graph @m(%x: f32[batch, 3]) -> f32[batch, 3] {\n}\n",
        fingerprint: String(repeating: "ab", count: 32),
        proof: Proof(
            seed: 0xDEAD_BEEF_0123_4567, absoluteTolerance: 1e-6, relativeTolerance: 1e-5,
            inputs: [.init(name: "x", dtype: .f32, shape: [2, 3], values: [0, -0.0, .infinity, 1.5, 0x1p-1074, -2])],
            sketches: [
                .init(
                    name: "dense", isOutput: false, shape: [2, 3], rms: 0.25, maximum: 1, projections: [0.1, -0.3], samples: [1, 2, 3]),
                .init(name: "out", isOutput: true, shape: [], rms: 0, maximum: 0, projections: [], samples: []),
            ]),
        provenance: [.init("writer", "ingot 0.1"), .init("source-format", "hdf5")])
}

/// Every kind of attribute, in every storage.
func everyAttribute() -> [Attribute] {
    typealias Strings = AttributeValue.Strings
    var result = [
        Attribute("", .text("an empty name is a name")),
        Attribute("text", .text("größer")),
        Attribute("ascii", .asciiText("plain")),
        Attribute("null strings", .null(nil)),
        Attribute("null numbers", .null(.f64)),
        Attribute("no strings", .strings(Strings(values: [], shape: [0], storage: .variable, charset: .utf8))),
        Attribute("not utf8", .strings(Strings(values: [[0xFF, 0x00, 0xC3]], shape: [], storage: .variable, charset: .utf8))),
        Attribute("cafe\u{301}", .text("decomposed")),
        Attribute("control\u{0}\n", .text("")),
    ]
    for padding in [Strings.Padding.nullTerminated, .nullPadded, .spacePadded] {
        for charset in [Strings.Charset.ascii, .utf8] {
            result.append(
                Attribute(
                    "\(padding) \(charset)",
                    .strings(
                        Strings(
                            values: [Array("a".utf8), [], Array("four".utf8), Array("bc".utf8)], shape: [2, 2],
                            storage: .fixed(byteCount: 4, padding: padding), charset: charset))))
        }
    }
    for dtype in DType.allCases {
        result.append(Attribute("scalar \(dtype)", .numbers(.init(dtype: dtype, shape: [], bytes: randomBytes(dtype.size, seed: 3)))))
        result.append(
            Attribute("array \(dtype)", .numbers(.init(dtype: dtype, shape: [3, 1], bytes: randomBytes(3 * dtype.size, seed: 4)))))
    }
    result.append(Attribute("empty", .numbers(.init(dtype: .f32, shape: [0], bytes: []))))
    return result
}
