import CCodec
import COpenSSL

/// Incremental SHA-256 (FIPS 180-4), by libcrypto.
public struct SHA256: ~Copyable {
    private let context: OpaquePointer

    public init() {
        context = EVP_MD_CTX_new()
        EVP_DigestInit_ex(context, EVP_sha256(), nil)
    }

    deinit { EVP_MD_CTX_free(context) }

    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        EVP_DigestUpdate(context, bytes.baseAddress, bytes.count)
    }

    public mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }

    /// The digest, 32 bytes.
    public consuming func finish() -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 32)
        EVP_DigestFinal_ex(context, &digest, nil)
        return digest
    }

    public static func hash(_ bytes: [UInt8]) -> [UInt8] {
        var hasher = SHA256()
        hasher.update(bytes)
        return hasher.finish()
    }
}

/// SHA-256 of whole blocks by the processor's own instructions, for two messages at once; only where `isAvailable`.
public struct SHA256Lane {
    public static let blockSize = 64
    public static var isAvailable: Bool { cc_sha256_is_available() != 0 }

    private var hash = cc_sha256()

    /// - Precondition: `isAvailable`.
    public init() { cc_sha256_start(&hash) }

    /// - Precondition: a multiple of 64 bytes.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        precondition(bytes.count % Self.blockSize == 0, "SHA-256 takes whole blocks")
        guard let base = bytes.baseAddress else { return }
        cc_sha256_update(&hash, base.assumingMemoryBound(to: UInt8.self), bytes.count / Self.blockSize)
    }

    /// - Precondition: equal multiples of 64 bytes.
    public static func update(
        _ a: inout SHA256Lane, _ first: UnsafeRawBufferPointer, _ b: inout SHA256Lane, _ second: UnsafeRawBufferPointer
    ) {
        precondition(first.count == second.count && first.count % blockSize == 0, "SHA-256 takes whole blocks")
        guard let left = first.baseAddress, let right = second.baseAddress else { return }
        cc_sha256_update_two(
            &a.hash, left.assumingMemoryBound(to: UInt8.self), &b.hash, right.assumingMemoryBound(to: UInt8.self), first.count / blockSize)
    }

    /// The digest, 32 bytes, after the message's last bytes, fewer than a block.
    public mutating func finish(_ rest: UnsafeRawBufferPointer) -> [UInt8] {
        precondition(rest.count < Self.blockSize, "a whole block is no rest")
        var digest = [UInt8](repeating: 0, count: 32)
        cc_sha256_finish(&hash, rest.baseAddress?.assumingMemoryBound(to: UInt8.self), rest.count, &digest)
        return digest
    }
}

/// Lower-case hexadecimal.
public func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}
