import ByteIO
import FormatKit
import ModelIR

/// Texts, shapes, attributes and the record.
extension IndexDecoder {
    func text(_ reader: inout ByteReader, _ what: String, limit: Int, rule: String) throws -> String {
        let before = reader
        let length = try reader.u64("length of \(what)")
        guard length <= UInt64(limit) else {
            throw before.error(
                rule == "I24" ? "bad-document" : rule == "I25" ? "bad-record" : "bad-text", rule: rule,
                expected: "at most \(limit) bytes of \(what)",
                found: "\(length)")
        }
        return try reader.text(length, what)
    }

    func flag(_ reader: inout ByteReader, _ what: String) throws -> Bool {
        let before = reader
        let value = try reader.u8(what)
        guard value <= 1 else { throw before.error("bad-record", rule: "I25", expected: "0 or 1 for \(what)", found: "\(value)") }
        return value == 1
    }

    func dtype(_ reader: inout ByteReader) throws -> DType {
        let before = reader
        let code = try reader.u8("dtype")
        guard let dtype = DType(ingotCode: code) else {
            throw before.error("bad-dtype", rule: "I22", expected: "a dtype code from 0 to 14", found: "\(code)")
        }
        return dtype
    }

    /// - Returns: the shape, and its number of elements times `size` (bytes of an element).
    func shape(_ reader: inout ByteReader, elementSize size: Int) throws -> (shape: [Int], byteCount: UInt64) {
        let before = reader
        let rank = try reader.u64("rank")
        guard rank <= UInt64(rankLimit) else {
            throw before.error("bad-shape", rule: "I22", expected: "at most \(rankLimit) dimensions", found: "\(rank)")
        }
        var shape: [Int] = []
        var product = UInt64(size)
        // The product of the dimensions that aren't 0: a dimension of 0 must not hide others whose product no code could multiply.
        var bound = product
        for _ in 0..<rank {
            let dimension = try reader.u64("dimension")
            let (next, overflow) = bound.multipliedReportingOverflow(by: max(dimension, 1))
            guard !overflow, next <= UInt64(Int.max) else {
                throw before.error("bad-shape", rule: "I22", expected: "at most \(Int.max) bytes", found: "a shape past that")
            }
            bound = next
            product = dimension == 0 ? 0 : product * dimension
            shape.append(Int(dimension))
        }
        return (shape, product)
    }

    func shape(_ reader: inout ByteReader, of dtype: DType) throws -> (shape: [Int], byteCount: UInt64) {
        try shape(&reader, elementSize: dtype.size)
    }

    // MARK: Attributes

    mutating func attributes(_ reader: inout ByteReader) throws -> [Attribute] {
        let count = try countAttributes(&reader)
        var result: [Attribute] = []
        var seen: Set<[UInt8]> = []
        for _ in 0..<count {
            let before = reader
            let name = try text(&reader, "attribute name", limit: nameByteLimit, rule: "I19")
            guard seen.insert(Array(name.utf8)).inserted else {
                throw before.error("bad-attribute", rule: "I21", expected: "a new attribute name", found: "\"\(name)\"")
            }
            result.append(Attribute(name, try attributeValue(&reader)))
        }
        return result
    }

    private func attributeValue(_ reader: inout ByteReader) throws -> AttributeValue {
        let before = reader
        let kind = try reader.u8("attribute kind")
        switch kind {
        case 0: return .null(nil)
        case 1: return .null(try dtype(&reader))
        case 2:
            let dtype = try dtype(&reader)
            let (shape, byteCount) = try shape(&reader, of: dtype)
            guard byteCount <= UInt64(valueByteLimit) else { throw tooLarge(before, byteCount) }
            return .numbers(.init(dtype: dtype, shape: shape, bytes: Array(try reader.take(byteCount, "attribute elements"))))
        case 3: return .strings(try strings(&reader))
        default: throw before.error("bad-attribute", rule: "I21", expected: "an attribute kind from 0 to 3", found: "\(kind)")
        }
    }

    private func tooLarge(_ reader: ByteReader, _ byteCount: UInt64) -> FormatError {
        reader.error("bad-attribute", rule: "I21", expected: "at most \(valueByteLimit) bytes", found: "\(byteCount)")
    }

    private func strings(_ reader: inout ByteReader) throws -> AttributeValue.Strings {
        let before = reader
        let storageCode = try reader.u8("string storage")
        let charsetCode = try reader.u8("charset")
        let fixedSize = try reader.u64("fixed size")
        guard let charset = AttributeValue.Strings.Charset(ingotCode: charsetCode) else {
            throw before.error("bad-attribute", rule: "I21", expected: "charset 0 or 1", found: "\(charsetCode)")
        }
        let storage: AttributeValue.Strings.Storage
        if let padding = AttributeValue.Strings.Padding(ingotCode: storageCode), fixedSize <= UInt64(valueByteLimit) {
            storage = .fixed(byteCount: Int(fixedSize), padding: padding)
        } else if storageCode == 0 && fixedSize == 0 {
            storage = .variable
        } else {
            throw before.error(
                "bad-attribute", rule: "I21", expected: "string storage from 0 to 3 with a size that fits it",
                found: "storage \(storageCode), size \(fixedSize)")
        }
        let (shape, count) = try shape(&reader, elementSize: 1)
        // Each string takes the eight bytes of its length at least.
        guard count <= UInt64(reader.remaining / 8) else {
            throw before.error("count-too-large", rule: "I26", expected: "at most \(reader.remaining / 8) strings", found: "\(count)")
        }
        var values: [[UInt8]] = []
        var total: UInt64 = 0
        for _ in 0..<count {
            let length = try reader.u64("string length")
            guard storageCode == 0 || length <= fixedSize else {
                throw before.error("bad-attribute", rule: "I21", expected: "at most \(fixedSize) bytes a string", found: "\(length)")
            }
            values.append(Array(try reader.take(length, "string")))
            total += length
            guard total <= UInt64(valueByteLimit) else { throw tooLarge(before, total) }
        }
        return .init(values: values, shape: shape, storage: storage, charset: charset)
    }

    // MARK: Record

    private func longText(_ reader: inout ByteReader, _ what: String) throws -> String {
        try text(&reader, what, limit: valueByteLimit, rule: "I25")
    }

    private func doubles(_ reader: inout ByteReader, _ what: String) throws -> [Double] {
        let count = try reader.count(what, limit: .max, minimumSize: 8)
        var result: [Double] = []
        result.reserveCapacity(count)
        for _ in 0..<count { result.append(Double(bitPattern: try reader.u64(what))) }
        return result
    }

    func record(_ reader: inout ByteReader) throws -> Record {
        let architecture = try longText(&reader, "architecture")
        let naming = try longText(&reader, "naming")
        let before = reader
        guard let irVersion = Int(exactly: try reader.u64("graph version")) else {
            throw before.error("bad-record", rule: "I25", expected: "a graph version below 2^63", found: "another")
        }
        let graphText = try longText(&reader, "graph")
        let fingerprint = try longText(&reader, "fingerprint")
        var provenance: [Record.Provenance] = []
        for _ in 0..<(try reader.count("provenance entries", limit: .max, minimumSize: 16)) {
            let key = try longText(&reader, "provenance key")
            provenance.append(Record.Provenance(key, try longText(&reader, "provenance value")))
        }
        let proof = try flag(&reader, "whether a proof follows") ? try proof(&reader) : nil
        return Record(
            architecture: architecture, naming: naming, irVersion: irVersion, graphText: graphText, fingerprint: fingerprint, proof: proof,
            provenance: provenance)
    }

    private func proof(_ reader: inout ByteReader) throws -> Proof {
        let seed = try reader.u64("seed")
        let absolute = Double(bitPattern: try reader.u64("absolute tolerance"))
        let relative = Double(bitPattern: try reader.u64("relative tolerance"))
        var inputs: [Proof.Input] = []
        for _ in 0..<(try reader.count("proof inputs", limit: .max, minimumSize: 25)) {
            let before = reader
            let name = try longText(&reader, "input name")
            let dtype = try dtype(&reader)
            let (shape, count) = try shape(&reader, elementSize: 1)
            let values = try doubles(&reader, "input values")
            guard UInt64(values.count) == count else {
                throw before.error("bad-record", rule: "I25", expected: "\(count) values of input \"\(name)\"", found: "\(values.count)")
            }
            inputs.append(Proof.Input(name: name, dtype: dtype, shape: shape, values: values))
        }
        var sketches: [Proof.Sketch] = []
        for _ in 0..<(try reader.count("sketches", limit: .max, minimumSize: 49)) {
            let name = try longText(&reader, "sketch name")
            let isOutput = try flag(&reader, "whether a sketch is an output")
            let (shape, _) = try shape(&reader, elementSize: 1)
            let rms = Double(bitPattern: try reader.u64("root mean square"))
            let maximum = Double(bitPattern: try reader.u64("maximum"))
            let projections = try doubles(&reader, "projections")
            let samples = try doubles(&reader, "samples")
            sketches.append(
                Proof.Sketch(
                    name: name, isOutput: isOutput, shape: shape, rms: rms, maximum: maximum, projections: projections, samples: samples))
        }
        return Proof(seed: seed, absoluteTolerance: absolute, relativeTolerance: relative, inputs: inputs, sketches: sketches)
    }
}
