import ByteIO
import ModelIR

/// NumPy's `.npz`: named arrays, each a `.npy` member of a zip archive.
public enum NPZArchive {
    /// Arrays in the archive's order, names without `.npy`.
    ///
    /// Members may be stored, and stay in the file then, or deflated. A bare `.npy` file is accepted too: one array named `arr_0`, as
    /// `numpy.savez` names an array that is given without a name.
    /// - Throws: `FormatError` of format `zip`, `npy` or `npz` (`npz-member`: something else than an array) with the path.
    public static func read(path: String, limits: Limits = Limits()) throws -> [(name: String, tensor: Tensor)] {
        let input = try ByteRegion(path: path)
        do {
            return try read(input, limits: limits)
        } catch let error as FormatError {
            throw error.inFile(path)
        }
    }

    /// As `read(path:limits:)`, from bytes that are open already.
    public static func read(_ input: ByteRegion, limits: Limits = Limits()) throws -> [(name: String, tensor: Tensor)] {
        if NumPyArray.matches(input) { return [("arr_0", try NumPyArray.read(input, limits: limits))] }
        let archive = try ZipArchive(input, limits: limits)
        var arrays: [(name: String, tensor: Tensor)] = []
        for entry in archive.entries {
            guard entry.name.hasSuffix(".npy") else {
                throw FormatError("npz", "npz-member", expected: "members that end in .npy", found: "`\(entry.name)`")
            }
            let data: ByteRegion
            if let stored = entry.storedRegion {
                try archive.verify(entry)
                data = stored
            } else {
                data = ByteRegion(bytes: try archive.bytes(of: entry), name: "\(input.path):\(entry.name)")
            }
            arrays.append((String(entry.name.dropLast(4)), try NumPyArray.read(data, limits: limits)))
        }
        return arrays
    }

    /// Writes arrays that `numpy.load` reads, stored and aligned; equal arrays give equal files. bf16 and 8-bit floats are widened to f32.
    /// - Throws: `UnsupportedError` for a name that can't be a member's.
    public static func write(_ arrays: [(name: String, tensor: Tensor)], to output: OutputFile) throws {
        let writer = ZipWriter(output)
        for (name, tensor) in arrays {
            let tensor = try NumPyArray.writable(tensor)
            let header = try NumPyArray.header(dtype: tensor.dtype, shape: tensor.shape)
            try writer.addMember("\(name).npy", size: UInt64(header.count + tensor.byteCount), alignment: 64) { append in
                try header.withUnsafeBytes(append)
                try tensor.forEachPiece(append)
            }
        }
        try writer.finish()
    }
}
