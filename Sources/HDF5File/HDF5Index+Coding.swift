import FormatKit
import ModelIR

extension HDF5Index {
    /// The index as it travels between processes.
    func encode(into encoder: inout IndexEncoder) {
        encoder.add(superblockVersion)
        encoder.add(addressing.base)
        encoder.add(addressing.addressByteCount)
        encoder.add(addressing.lengthByteCount)
        encoder.add(objects) { encoder, object in
            encoder.add(object.address)
            encoder.add(object.attributes) { $1.encode(into: &$0) }
            encoder.add(object.opaqueAttributes) {
                $0.add($1.name); $0.add($1.description)
            }
            switch object.kind {
            case .group(let links):
                encoder.add(0)
                encoder.add(links) { encoder, link in
                    encoder.add(link.name)
                    switch link.target {
                    case .hard(let address): encoder.add(false); encoder.add(address)
                    case .soft(let path): encoder.add(true); encoder.add(path)
                    }
                }
            case .dataset(let dataset):
                encoder.add(1)
                dataset.encode(into: &encoder)
            case .opaque(let description):
                encoder.add(2)
                encoder.add(description)
            }
        }
    }

    /// - Throws: `IndexDecoder.Failure` for what no walk over a file could have made.
    init(from decoder: inout IndexDecoder) throws(IndexDecoder.Failure) {
        superblockVersion = try decoder.int()
        addressing = HDF5Addressing(
            base: try decoder.integer(), addressByteCount: try decoder.int(), lengthByteCount: try decoder.int())
        guard (1...8).contains(addressing.addressByteCount), (1...8).contains(addressing.lengthByteCount) else {
            throw IndexDecoder.Failure()
        }
        objects = try decoder.array { (decoder) throws(IndexDecoder.Failure) in
            let address = try decoder.integer()
            let attributes = try decoder.array { (decoder) throws(IndexDecoder.Failure) in try Attribute(from: &decoder) }
            let opaque = try decoder.array { (decoder) throws(IndexDecoder.Failure) in
                OpaqueAttribute(name: try decoder.text(), description: try decoder.text())
            }
            let kind: Kind
            switch try decoder.byte() {
            case 0:
                kind = .group(
                    try decoder.array { (decoder) throws(IndexDecoder.Failure) in
                        let name = try decoder.text()
                        let target: Link.Target = try decoder.flag() ? .soft(try decoder.text()) : .hard(try decoder.integer())
                        return Link(name: name, target: target)
                    })
            case 1: kind = .dataset(try Dataset(from: &decoder))
            case 2: kind = .opaque(try decoder.text())
            default: throw IndexDecoder.Failure()
            }
            return Object(address: address, kind: kind, attributes: attributes, opaqueAttributes: opaque)
        }
    }
}

extension HDF5Index.Dataset {
    fileprivate func encode(into encoder: inout IndexEncoder) {
        dtype.encode(into: &encoder)
        encoder.add(isBigEndian)
        encoder.add(encoding.rawValue)
        encoder.add(shape)
        switch storage {
        case .compact(let bytes): encoder.add(0); encoder.add(bytes)
        case .contiguous(let offset): encoder.add(1); encoder.add(offset)
        case .chunked(let chunks):
            encoder.add(2)
            encoder.add(chunks.shape)
            encoder.add(chunks.filters) { encoder, filter in
                encoder.add(filter.identifier)
                encoder.add(filter.name)
                encoder.add(filter.values) { $0.add(UInt64($1)) }
            }
            encoder.add(chunks.fill)
            encoder.add(chunks.maximumShape) { $0.add($1) }
            chunks.location.encode(into: &encoder)
            encoder.add(chunks.skipsFiltersAtEdges)
        case .unallocated(let fill): encoder.add(3); encoder.add(fill)
        }
    }

    fileprivate init(from decoder: inout IndexDecoder) throws(IndexDecoder.Failure) {
        dtype = try DType(from: &decoder)
        isBigEndian = try decoder.flag()
        guard let encoding = HDF5Index.Encoding(rawValue: try decoder.text()) else { throw IndexDecoder.Failure() }
        self.encoding = encoding
        shape = try decoder.sizes()
        guard checkedProduct(shape.map { UInt64($0) }, dtype.size) != nil else { throw IndexDecoder.Failure() }
        switch try decoder.byte() {
        case 0: storage = .compact(try decoder.blob())
        case 1: storage = .contiguous(try decoder.integer())
        case 2: storage = .chunked(try HDF5Index.Chunks(from: &decoder, datasetShape: shape, elementSize: dtype.size))
        case 3: storage = .unallocated(fill: try decoder.element(ofSize: dtype.size))
        default: throw IndexDecoder.Failure()
        }
    }
}

extension HDF5Index.Chunks {
    fileprivate init(from decoder: inout IndexDecoder, datasetShape: [Int], elementSize: Int) throws(IndexDecoder.Failure) {
        let shape = try decoder.sizes()
        guard shape.count == datasetShape.count, !shape.isEmpty, !shape.contains(0),
            checkedProduct(shape.map { UInt64($0) }, elementSize) != nil
        else { throw IndexDecoder.Failure() }
        self.shape = shape
        filters = try decoder.array { (decoder) throws(IndexDecoder.Failure) in
            let identifier = try decoder.int()
            let name = try decoder.text()
            let values = try decoder.array { (decoder) throws(IndexDecoder.Failure) in try decoder.word() }
            return HDF5Index.Filter(identifier: identifier, name: name, values: values)
        }
        fill = try decoder.element(ofSize: elementSize)
        maximumShape = try decoder.array { (decoder) throws(IndexDecoder.Failure) in try decoder.integer() }
        guard maximumShape.count == shape.count else { throw IndexDecoder.Failure() }
        location = try HDF5Index.ChunkLocation(from: &decoder)
        skipsFiltersAtEdges = try decoder.flag()
    }
}

extension HDF5Index.ChunkLocation {
    fileprivate func encode(into encoder: inout IndexEncoder) {
        switch self {
        case .nowhere: encoder.add(0)
        case .single(let address, let byteCount, let filterMask):
            encoder.add(1)
            encoder.add(address)
            encoder.add(byteCount) { $0.add($1) }
            encoder.add(UInt64(filterMask))
        case .implicit(let address): encoder.add(2); encoder.add(address)
        case .fixedArray(let address): encoder.add(3); encoder.add(address)
        case .extensibleArray(let address): encoder.add(4); encoder.add(address)
        case .tree1(let address): encoder.add(5); encoder.add(address)
        case .tree2(let address): encoder.add(6); encoder.add(address)
        }
    }

    fileprivate init(from decoder: inout IndexDecoder) throws(IndexDecoder.Failure) {
        let kind = try decoder.byte()
        guard kind > 0 else {
            self = .nowhere
            return
        }
        let address = try decoder.integer()
        switch kind {
        case 1:
            let byteCount = try decoder.optional { (decoder) throws(IndexDecoder.Failure) in try decoder.integer() }
            self = .single(address: address, byteCount: byteCount, filterMask: try decoder.word())
        case 2: self = .implicit(address: address)
        case 3: self = .fixedArray(address: address)
        case 4: self = .extensibleArray(address: address)
        case 5: self = .tree1(address: address)
        case 6: self = .tree2(address: address)
        default: throw IndexDecoder.Failure()
        }
    }
}

extension IndexDecoder {
    fileprivate mutating func word() throws(Failure) -> UInt32 {
        guard let word = UInt32(exactly: try integer()) else { throw Failure() }
        return word
    }

    fileprivate mutating func element(ofSize size: Int) throws(Failure) -> [UInt8] {
        let element = try blob()
        guard element.count == size else { throw Failure() }
        return element
    }
}

extension DType {
    fileprivate func encode(into encoder: inout IndexEncoder) { encoder.add(rawValue) }

    fileprivate init(from decoder: inout IndexDecoder) throws(IndexDecoder.Failure) {
        guard let dtype = DType(rawValue: try decoder.text()) else { throw IndexDecoder.Failure() }
        self = dtype
    }
}

extension Attribute {
    fileprivate func encode(into encoder: inout IndexEncoder) {
        encoder.add(name)
        switch value {
        case .null(let dtype): encoder.add(0); encoder.add(dtype) { $1.encode(into: &$0) }
        case .numbers(let numbers):
            encoder.add(1)
            numbers.dtype.encode(into: &encoder)
            encoder.add(numbers.shape)
            encoder.add(numbers.bytes)
        case .strings(let strings):
            encoder.add(2)
            encoder.add(strings.values) { $0.add($1) }
            encoder.add(strings.shape)
            encoder.add(strings.charset == .utf8)
            guard case .fixed(let byteCount, let padding) = strings.storage else { return encoder.add(false) }
            encoder.add(true)
            encoder.add(byteCount)
            encoder.add(padding.rawValue)
        }
    }

    fileprivate init(from decoder: inout IndexDecoder) throws(IndexDecoder.Failure) {
        let name = try decoder.text()
        let value: AttributeValue
        switch try decoder.byte() {
        case 0: value = .null(try decoder.optional { (decoder) throws(IndexDecoder.Failure) in try DType(from: &decoder) })
        case 1:
            let dtype = try DType(from: &decoder)
            let shape = try decoder.sizes()
            let bytes = try decoder.blob()
            guard checkedProduct(shape.map { UInt64($0) }, dtype.size) == bytes.count else { throw IndexDecoder.Failure() }
            value = .numbers(.init(dtype: dtype, shape: shape, bytes: bytes))
        case 2:
            let values = try decoder.array { (decoder) throws(IndexDecoder.Failure) in try decoder.blob() }
            let shape = try decoder.sizes()
            guard checkedProduct(shape.map { UInt64($0) }, 1) == values.count else { throw IndexDecoder.Failure() }
            let charset: AttributeValue.Strings.Charset = try decoder.flag() ? .utf8 : .ascii
            var storage = AttributeValue.Strings.Storage.variable
            if try decoder.flag() {
                let byteCount = try decoder.int()
                guard let padding = AttributeValue.Strings.Padding(rawValue: try decoder.text()) else { throw IndexDecoder.Failure() }
                storage = .fixed(byteCount: byteCount, padding: padding)
            }
            value = .strings(.init(values: values, shape: shape, storage: storage, charset: charset))
        default: throw IndexDecoder.Failure()
        }
        self.init(name, value)
    }
}
