import ByteIO
import CProcess
import Glibc

/// What the process that parses sends back: an index, or why there is none.
enum IndexReply {
    case index(HDF5Index)
    case refused(FormatError)
    case unsupported(UnsupportedError)

    /// The reply of a parse that runs here and now.
    init(parsing region: ByteRegion, limits: Limits) {
        do {
            self = .index(try HDF5Index.parse(region: region, limits: limits))
        } catch let error as FormatError {
            self = .refused(error)
        } catch let error as UnsupportedError {
            self = .unsupported(error)
        } catch {
            self = .refused(HDF5Error.corrupt(found: "\(error)"))
        }
    }

    func get() throws -> HDF5Index {
        switch self {
        case .index(let index): return index
        case .refused(let error): throw error
        case .unsupported(let error): throw error
        }
    }

    var encoded: [UInt8] {
        var encoder = IndexEncoder()
        switch self {
        case .index(let index):
            encoder.add(0)
            index.encode(into: &encoder)
        case .refused(let error):
            encoder.add(1)
            encoder.add(error.code.rawValue)
            encoder.add(error.offset) { $0.add($1) }
            encoder.add(error.rule) { $0.add($1) }
            encoder.add(error.expected) { $0.add($1) }
            encoder.add(error.found) { $0.add($1) }
        case .unsupported(let error):
            encoder.add(2)
            encoder.add(error.message)
            encoder.add(error.items) { $0.add($1) }
        }
        return encoder.bytes
    }

    init(decoding bytes: [UInt8]) throws(IndexDecoder.Failure) {
        var decoder = IndexDecoder(bytes)
        switch try decoder.byte() {
        case 0: self = .index(try HDF5Index(from: &decoder))
        case 1:
            let text = { (decoder: inout IndexDecoder) throws(IndexDecoder.Failure) in try decoder.text() }
            let code = FormatError.Code(rawValue: try decoder.text())
            let offset = try decoder.optional { (decoder) throws(IndexDecoder.Failure) in try decoder.integer() }
            self = .refused(
                FormatError(
                    "hdf5", code, at: offset, rule: try decoder.optional(text), expected: try decoder.optional(text),
                    found: try decoder.optional(text)))
        case 2:
            let message = try decoder.text()
            let items = try decoder.array { (decoder) throws(IndexDecoder.Failure) in try decoder.text() }
            self = .unsupported(UnsupportedError(message, items: items))
        default: throw IndexDecoder.Failure()
        }
        guard decoder.isAtEnd else { throw IndexDecoder.Failure() }
    }
}

/// What a child may use. In proportion to the file: an index of 3,000 objects takes 80 ms and 5 MB.
struct IndexBudget {
    /// Of the child's own, in seconds.
    var processorSeconds: Double
    /// On the wall, for a child that waits for something; on a busy machine a sound file may take several times its processor time.
    var wallSeconds: Double
    /// Of address space beyond what the child starts with.
    var memoryByteCount: UInt64
    /// Of the reply.
    var replyByteCount: Int

    init(region: ByteRegion) {
        let fileByteCount = UInt64(region.count)
        processorSeconds = min(1 + Double(fileByteCount) / Double(16 << 20), 600)
        wallSeconds = (4 * processorSeconds + 4).rounded(.up)
        memoryByteCount = min(256 << 20 + 8 * fileByteCount, 4 << 30)
        replyByteCount = Int(min(64 << 20 + 4 * fileByteCount, 2 << 30))
    }
}

/// The child's part: confine itself, parse, reply. Does not return.
enum IndexWorker {
    /// - Parameter reply: descriptor of the pipe to the parent.
    static func run(region: () throws -> ByteRegion, budget: IndexBudget, limits: Limits, reply: Int32) -> Never {
        guard cp_confine(budget.memoryByteCount, budget.processorSeconds, budget.wallSeconds) == 0 else { _exit(EX_OSERR) }
        guard let region = try? region() else { _exit(EX_OSERR) }
        let bytes = IndexReply(parsing: region, limits: limits).encoded
        var done = 0
        while done < bytes.count {
            let n = bytes.withUnsafeBytes { write(reply, $0.baseAddress! + done, $0.count - done) }
            if n < 0 && errno == EINTR { continue }
            guard n > 0 else { _exit(EX_IOERR) }
            done += n
        }
        // No handlers of the parent's at exit, and no libhdf5 that tidies up after a damaged file.
        _exit(0)
    }
}
