import ByteIO
import FormatKit
import ModelIR

/// Order, widths and codes are those of SPEC.md, "Index".
extension Index {
    func encoded() throws -> [UInt8] {
        var writer = ByteWriter()
        for name in IngotLayout.sections {
            var section = ByteWriter()
            switch name {
            case "BLOB": section.appendList(blobs) { $0.append($1) }
            case "SRCE":
                section.appendCounted(source.format)
                section.appendCounted(source.detail)
            case "GRUP":
                try section.appendList(groups) {
                    $0.appendCounted($1.path)
                    try $0.append($1.attributes, of: "group \"\($1.path)\"")
                }
            case "TENS": try section.appendList(tensors) { try $0.append($1) }
            case "TIES": section.appendList(ties) { $0.appendList($1) { $0.append(UInt64($1)) } }
            case "DOCS":
                section.appendList(documents) {
                    $0.appendCounted($1.name)
                    $0.append(UInt64($1.blob))
                }
            default:
                section.append(UInt8(record == nil ? 0 : 1))
                if let record { try section.append(record) }
            }
            writer.append(name.utf8)
            writer.append(UInt64(section.bytes.count))
            writer.append(section.bytes)
        }
        return writer.bytes
    }
}

extension ByteWriter {
    mutating func appendList<T>(_ items: [T], _ body: (inout ByteWriter, T) throws -> Void) rethrows {
        append(UInt64(items.count))
        for item in items { try body(&self, item) }
    }

    mutating func append(_ value: Double) { append(value.bitPattern) }

    fileprivate mutating func append(_ blob: Blob) {
        append(blob.layout.rawValue)
        append(UInt8(blob.width))
        append(blob.byteCount)
        append(blob.digest)
        for chunk in 0..<blob.chunkCount {
            for length in blob.planeLengths(chunk) { append(length) }
            append(blob.checksums[chunk])
        }
    }

    fileprivate mutating func append(_ tensor: Index.TensorRow) throws {
        appendCounted(tensor.name)
        append(tensor.dtype.ingotCode)
        try append(shape: tensor.shape, of: "tensor \"\(tensor.name)\"")
        append(UInt64(tensor.blob))
        try append(tensor.attributes, of: "tensor \"\(tensor.name)\"")
    }

    mutating func append(shape: [Int], of owner: String) throws {
        append(UInt64(shape.count))
        for dimension in shape {
            guard dimension >= 0 else { throw UnsupportedError("\(owner) has a negative dimension") }
            append(UInt64(dimension))
        }
    }

    mutating func append(_ attributes: [Attribute], of owner: String) throws {
        try appendList(attributes) {
            $0.appendCounted($1.name)
            try $0.append($1.value, of: "attribute \"\($1.name)\" of \(owner)")
        }
    }

    private mutating func append(_ value: AttributeValue, of owner: String) throws {
        switch value {
        case .null(nil): append(UInt8(0))
        case .null(let dtype?):
            append(UInt8(1))
            append(dtype.ingotCode)
        case .numbers(let numbers):
            append(UInt8(2))
            append(numbers.dtype.ingotCode)
            try append(shape: numbers.shape, of: owner)
            guard try elementCount(numbers.shape, of: owner, size: numbers.dtype.size) == numbers.bytes.count else {
                throw UnsupportedError("\(owner) has bytes that don't fit its shape")
            }
            append(numbers.bytes)
        case .strings(let strings):
            append(UInt8(3))
            switch strings.storage {
            case .variable:
                append(UInt8(0))
                append(strings.charset.ingotCode)
                append(UInt64(0))
            case .fixed(let byteCount, let padding):
                guard byteCount >= 0 else { throw UnsupportedError("\(owner) has a negative size") }
                append(padding.ingotCode)
                append(strings.charset.ingotCode)
                append(UInt64(byteCount))
            }
            try append(shape: strings.shape, of: owner)
            guard try elementCount(strings.shape, of: owner, size: 1) == strings.values.count else {
                throw UnsupportedError("\(owner) has strings that don't fit its shape")
            }
            for value in strings.values {
                append(UInt64(value.count))
                append(value)
            }
        }
    }

    private func elementCount(_ shape: [Int], of owner: String, size: Int) throws -> Int {
        var product = size
        for dimension in shape {
            let (next, overflow) = product.multipliedReportingOverflow(by: dimension)
            guard !overflow else { throw UnsupportedError("\(owner) has a shape past what fits into 64 bits") }
            product = next
        }
        return product
    }

    fileprivate mutating func append(_ record: Record) throws {
        guard record.irVersion >= 0 else { throw UnsupportedError("the record's graph version is negative") }
        appendCounted(record.architecture)
        appendCounted(record.naming)
        append(UInt64(record.irVersion))
        appendCounted(record.graphText)
        appendCounted(record.fingerprint)
        appendList(record.provenance) {
            $0.appendCounted($1.key)
            $0.appendCounted($1.value)
        }
        append(UInt8(record.proof == nil ? 0 : 1))
        guard let proof = record.proof else { return }
        append(proof.seed)
        append(proof.absoluteTolerance)
        append(proof.relativeTolerance)
        try appendList(proof.inputs) { writer, input in
            writer.appendCounted(input.name)
            writer.append(input.dtype.ingotCode)
            try writer.append(shape: input.shape, of: "input \"\(input.name)\" of the proof")
            writer.appendList(input.values) { $0.append($1) }
        }
        try appendList(proof.sketches) { writer, sketch in
            writer.appendCounted(sketch.name)
            writer.append(UInt8(sketch.isOutput ? 1 : 0))
            try writer.append(shape: sketch.shape, of: "sketch \"\(sketch.name)\" of the proof")
            writer.append(sketch.rms)
            writer.append(sketch.maximum)
            writer.appendList(sketch.projections) { $0.append($1) }
            writer.appendList(sketch.samples) { $0.append($1) }
        }
    }
}

extension AttributeValue.Strings.Padding {
    /// Code of "storage" of fixed strings; 0 is variable.
    var ingotCode: UInt8 {
        switch self {
        case .nullTerminated: 1
        case .nullPadded: 2
        case .spacePadded: 3
        }
    }

    init?(ingotCode: UInt8) {
        switch ingotCode {
        case 1: self = .nullTerminated
        case 2: self = .nullPadded
        case 3: self = .spacePadded
        default: return nil
        }
    }
}

extension AttributeValue.Strings.Charset {
    var ingotCode: UInt8 { self == .ascii ? 0 : 1 }

    init?(ingotCode: UInt8) {
        switch ingotCode {
        case 0: self = .ascii
        case 1: self = .utf8
        default: return nil
        }
    }
}
