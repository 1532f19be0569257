import ByteIO
import FormatKit

extension HDF5Checkpoint {
    public static func write(_ checkpoint: Checkpoint, to output: OutputFile) throws {
        throw UnsupportedError("writing HDF5")
    }
}
