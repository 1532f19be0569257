import ByteIO
import ModelIR

/// NumPy's `.npy`: one array with a header that is a Python dictionary.
public enum NumPyArray {
    static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
    /// Far above what `numpy.save` writes; NumPy itself refuses headers over 10,000 bytes.
    static let headerLimit: UInt64 = 1 << 20

    /// Whether the bytes begin as a `.npy` file does.
    public static func matches(_ input: ByteRegion) -> Bool {
        input.count >= magic.count && (try? input.bytes(0..<magic.count)) == magic
    }

    /// Reads versions 1.0, 2.0 and 3.0: booleans, integers, f2, f4 and f8 in both byte orders and both element orders.
    ///
    /// Opaque elements of two bytes (`|V2`) are bf16, as NumPy with ml_dtypes writes it. The tensor's bytes stay in the file where they lie
    /// there little-endian and row-major, and are converted in memory otherwise.
    /// - Throws: format `npy`: `bad-magic`, `bad-version`, `bad-header`, `truncated`, `trailing-bytes` or `too-large`; `UnsupportedError`
    ///   for other element types.
    public static func read(_ input: ByteRegion, limits: Limits = Limits()) throws -> Tensor {
        let prelude = min(input.count, 12)
        var reader = ByteReader(try input.bytes(0..<prelude), format: "npy")
        guard matches(input) else { throw reader.error("bad-magic", expected: "\\x93NUMPY") }
        _ = try reader.take(UInt64(magic.count), "magic")
        let beforeVersion = reader
        let (major, minor) = (try reader.u8("version"), try reader.u8("version"))
        guard (1...3).contains(major), minor == 0 else {
            throw beforeVersion.error("bad-version", expected: "1.0, 2.0 or 3.0", found: "\(major).\(minor)")
        }
        let beforeCount = reader
        let headerCount = major == 1 ? UInt64(try reader.u16("header size")) : UInt64(try reader.u32("header size"))
        let start = reader.fileOffset
        guard headerCount <= headerLimit else {
            throw beforeCount.error("too-large", expected: "a header of at most \(headerLimit) bytes", found: "\(headerCount)")
        }
        guard let headerRegion = input.subregion(offset: start, count: headerCount) else {
            throw beforeCount.error("truncated", expected: "\(headerCount) bytes of header", found: "\(UInt64(input.count) - start)")
        }
        var parser = NumPyHeaderParser(bytes: try headerRegion.bytes(), origin: start, rankLimit: limits.rank)
        let header = try parser.header()
        let element = try NumPyElement(header.descr)
        return try tensor(header, element, of: input, at: start + headerCount)
    }

    public static func read(_ bytes: [UInt8], limits: Limits = Limits()) throws -> Tensor {
        try read(ByteRegion(bytes: bytes), limits: limits)
    }

    private static func tensor(
        _ header: NumPyHeader, _ element: NumPyElement, of input: ByteRegion, at start: UInt64
    ) throws -> Tensor {
        var byteCount = element.dtype.size
        // Also with a zero among the dimensions, no partial product may overflow: users of the shape multiply it out.
        for size in [1] + header.shape {
            let (product, overflow) = byteCount.multipliedReportingOverflow(by: size)
            guard !overflow else {
                throw FormatError("npy", "too-large", at: 10, expected: "a shape that fits memory", found: "\(header.shape)")
            }
            byteCount = product
        }
        let available = UInt64(input.count) - start
        guard let data = input.subregion(offset: start, count: UInt64(byteCount)) else {
            throw FormatError("npy", "truncated", at: start, expected: "\(byteCount) bytes of elements", found: "\(available)")
        }
        guard available == UInt64(byteCount) else {
            throw FormatError("npy", "trailing-bytes", at: start + UInt64(byteCount), found: "\(available - UInt64(byteCount)) more bytes")
        }
        let isRowMajor = !header.isFortranOrder || header.shape.count { $0 != 1 } < 2
        if isRowMajor && !element.isBigEndian { return Tensor(dtype: element.dtype, shape: header.shape, storage: data) }
        var bytes = try data.bytes()
        if element.isBigEndian { swapBytes(&bytes, size: element.dtype.size) }
        if !isRowMajor { bytes = rowMajor(bytes, shape: header.shape, size: element.dtype.size) }
        return Tensor(dtype: element.dtype, shape: header.shape, bytes: bytes)
    }

    private static func swapBytes(_ bytes: inout [UInt8], size: Int) {
        bytes.withUnsafeMutableBufferPointer { buffer in
            for start in stride(from: 0, to: buffer.count, by: size) {
                for i in 0..<size / 2 { buffer.swapAt(start + i, start + size - 1 - i) }
            }
        }
    }

    /// Column-major elements in row-major order.
    private static func rowMajor(_ bytes: [UInt8], shape: [Int], size: Int) -> [UInt8] {
        var strides: [Int] = []
        var stride = size
        for dimension in shape {
            strides.append(stride)
            stride *= dimension
        }
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var index = [Int](repeating: 0, count: shape.count)
        var offset = 0
        while result.count < bytes.count {
            for i in 0..<size { result.append(bytes[offset + i]) }
            var axis = shape.count - 1
            while axis >= 0 {
                index[axis] += 1
                offset += strides[axis]
                if index[axis] < shape[axis] { break }
                offset -= strides[axis] * shape[axis]
                index[axis] = 0
                axis -= 1
            }
        }
        return result
    }
}
