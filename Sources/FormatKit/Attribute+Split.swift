/// Bytes that Keras puts into one HDF5 attribute: the library's 64 KiB for an object header message, less 1 KiB for what surrounds them.
private let attributeByteLimit = 64_512

/// A list of strings as Keras writes it (`save_attributes_to_hdf5_group`): one attribute, or `name0`, `name1`, ... where one would not fit.
///
/// Whole, it is an array of variable-length ASCII strings, and an empty list an empty array of f64, as h5py makes of them; in parts, strings
/// of the longest one's size, cut where `numpy.array_split` cuts. `[Attribute].strings(_:)` reads all three.
public func splitAttribute(_ name: String, _ values: [String]) -> [Attribute] {
    let bytes = values.map { Array($0.utf8) }
    guard let width = bytes.map(\.count).max() else {
        return [Attribute(name, .numbers(.init(dtype: .f64, shape: [0], bytes: [])))]
    }
    // A variable-length string takes a reference of 16 bytes in the attribute, however long it is.
    let referenceByteCount = 16
    if bytes.count * max(width, referenceByteCount) <= attributeByteLimit || bytes.count == 1 {
        return [Attribute(name, .strings(.init(values: bytes, shape: [bytes.count], storage: .variable, charset: .ascii)))]
    }
    // Keras refuses strings that no attribute could hold; a reference to them still fits.
    let isFixed = width <= attributeByteLimit
    let elementByteCount = isFixed ? max(width, 1) : referenceByteCount
    let partCount = (bytes.count - 1) / (attributeByteLimit / elementByteCount) + 1
    let storage: AttributeValue.Strings.Storage = isFixed ? .fixed(byteCount: elementByteCount, padding: .nullPadded) : .variable
    var start = 0
    return (0..<partCount).map { part in
        let count = bytes.count / partCount + (part < bytes.count % partCount ? 1 : 0)
        defer { start += count }
        let values = Array(bytes[start..<start + count])
        let value = AttributeValue.strings(.init(values: values, shape: [count], storage: storage, charset: .ascii))
        return Attribute(partCount == 1 ? name : "\(name)\(part)", value)
    }
}
