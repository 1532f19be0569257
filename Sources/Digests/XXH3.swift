import CXXHash

/// XXH3, 64 bits, seed 0 (xxHash specification), of a whole buffer.
public func xxh3(_ bytes: UnsafeRawBufferPointer) -> UInt64 { cxxhash_xxh3(bytes.baseAddress, bytes.count) }

public func xxh3(_ bytes: [UInt8]) -> UInt64 { bytes.withUnsafeBytes { xxh3($0) } }
