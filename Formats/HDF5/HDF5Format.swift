import ByteIO
import FormatKit
import HDF5File

/// HDF5, as Keras, tf_keras and transformers' TensorFlow classes write weights; see SPEC.md beside this file.
public enum HDF5Format: ModelFormat {
    public static let name = "hdf5"
    public static let summary = "HDF5: Keras .h5 and .weights.h5, tf_model.h5, plain groups of datasets"
    public static let fileExtensions = [".h5", ".hdf5", ".keras.h5"]
    public static let canWrite = true

    public static func matches(_ input: ByteRegion) -> Bool {
        guard let offset = HDF5Index.superblockOffset(in: input) else { return false }
        guard offset > 0 else { return true }
        // A zip archive or safetensors may hold an HDF5 file exactly where a superblock behind a user block would be.
        return input.withBytes { bytes in
            let isZip = bytes.prefix(4).elementsEqual([0x50, 0x4B, 0x03, 0x04])
            let isSafetensors = bytes[8] == UInt8(ascii: "{") && bytes[4..<8].allSatisfy { $0 == 0 }
            return !isZip && !isSafetensors
        }
    }

    public static func open(_ input: ByteRegion, limits: Limits) throws -> Checkpoint {
        try HDF5Checkpoint.read(input, format: name, limits: limits)
    }

    public static func write(_ checkpoint: Checkpoint, to output: OutputFile, options: WriteOptions) throws {
        try HDF5Checkpoint.write(checkpoint, to: output, options: options)
    }
}
