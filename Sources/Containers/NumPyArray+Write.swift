import ByteIO
import ModelIR

extension NumPyArray {
    /// What `numpy.load` can read: bf16 and 8-bit floats, which NumPy lacks, widened to f32 without loss; everything else as it is.
    static func writable(_ tensor: Tensor) throws -> Tensor {
        guard NumPyElement.descr(tensor.dtype) == nil else { return tensor }
        return Tensor(try tensor.floats(), shape: tensor.shape)
    }

    /// Everything before the elements, byte for byte as `numpy.save` writes it: version 1.0, row-major, room for the first dimension
    /// to grow to 21 digits, then spaces to a multiple of 64.
    /// - Precondition: NumPy has the dtype (`writable(_:)`).
    static func header(dtype: DType, shape: [Int]) throws -> [UInt8] {
        guard let descr = NumPyElement.descr(dtype) else { throw UnsupportedError("npy: elements of type \(dtype.rawValue)") }
        let sizes = shape.map(String.init).joined(separator: ", ")
        var text = "{'descr': '\(descr)', 'fortran_order': False, 'shape': (\(sizes)\(shape.count == 1 ? "," : "")), }"
        if let first = shape.first { text += String(repeating: " ", count: max(0, 21 - String(first).utf8.count)) }
        let unpadded = magic.count + 4 + text.utf8.count + 1
        text += String(repeating: " ", count: 64 - unpadded % 64) + "\n"
        guard let count = UInt16(exactly: text.utf8.count) else { throw UnsupportedError("npy: an array of rank \(shape.count)") }
        return magic + [1, 0, UInt8(count & 0xFF), UInt8(count >> 8)] + Array(text.utf8)
    }

    /// A `.npy` file of one tensor. bf16 and 8-bit floats are widened to f32, without loss.
    public static func bytes(of tensor: Tensor) throws -> [UInt8] {
        let tensor = try writable(tensor)
        return try header(dtype: tensor.dtype, shape: tensor.shape) + tensor.bytes()
    }
}
