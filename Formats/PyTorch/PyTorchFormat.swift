import ByteIO
import Containers
import FormatKit

/// What torch.save writes, read without executing anything; see SPEC.md beside this file.
public enum PyTorchFormat: ModelFormat {
    public static let name = "pytorch"
    public static let summary =
        "PyTorch: state dicts and training checkpoints of torch.save, read by a pickle machine that executes nothing"
    public static let fileExtensions = [".bin", ".pt", ".pth", ".ckpt"]
    public static let canWrite = false

    public static func matches(_ input: ByteRegion) -> Bool {
        if ZipArchive.matches(input) {
            if let archive = try? ZipArchive(input) { return TorchArchive.folder(of: archive) != nil }
            guard let first = ZipArchive.firstMemberName(input) else { return false }
            return first.split(separator: "/", omittingEmptySubsequences: false).dropFirst() == ["data.pkl"]
        }
        return isStack(input) || isTar(input)
    }

    private static func isStack(_ input: ByteRegion) -> Bool {
        // PROTO and its version, from protocol 4 on FRAME and its length.
        guard input.count >= 2, var head = try? input.bytes(0..<min(input.count, 64)), head[0] == PickleOpcode.proto.rawValue else {
            return false
        }
        head.removeFirst(2)
        if head.first == PickleOpcode.frame.rawValue { head.removeFirst(min(9, head.count)) }
        return head.starts(with: TorchStack.magic)
    }

    /// A tar archive begins with a member's name, and says so 257 bytes on.
    private static func isTar(_ input: ByteRegion) -> Bool {
        guard input.count >= 512, let head = try? input.bytes(0..<262), head[257...].elementsEqual("ustar".utf8) else { return false }
        let name = String(decoding: head.prefix { $0 != 0 }, as: UTF8.self)
        return ["sys_info", "pickle", "tensors", "storages"].contains(name)
    }

    public static func open(_ input: ByteRegion, limits: Limits) throws -> Checkpoint {
        let file = try contents(input, limits: limits)
        var reader = StateDictReader(machine: file.machine, regions: file.regions, limits: limits)
        try reader.read(file.value, fileByteCount: UInt64(input.count))
        return reader.checkpoint(detail: file.detail)
    }

    /// Holds every member of an archive against its checksum. The stacked form has none; opening it has accounted for every byte.
    public static func check(_ input: ByteRegion, limits: Limits) throws -> [String] {
        guard ZipArchive.matches(input) else {
            return ["\(try TorchStack(input, limits: limits).regions.count) storages reach to the end of the file"]
        }
        let archive = try TorchArchive(input, limits: limits)
        let checked = archive.checkedEntries
        for entry in checked { try TorchArchive.underRule("P3") { try archive.archive.verify(entry) } }
        let rest = archive.archive.entries.count - checked.count
        return ["CRC-32 of \(checked.count) members" + (rest == 0 ? "" : "; \(rest) were written without")]
    }

    public static func write(_ checkpoint: Checkpoint, to output: OutputFile, options: WriteOptions) throws {
        throw UnsupportedError("pickles are read only; safetensors holds the same tensors, and torch reads it")
    }

    private struct Contents {
        var value: PickleValue
        var machine: PickleMachine
        var regions: [ByteRegion]
        var detail: String
    }

    private static func contents(_ input: ByteRegion, limits: Limits) throws -> Contents {
        if ZipArchive.matches(input) {
            let archive = try TorchArchive(input, limits: limits)
            let (value, machine) = try archive.object(limits: limits)
            let regions = try archive.regions(of: machine.storages, limits: limits)
            return Contents(value: value, machine: machine, regions: regions, detail: "PyTorch zip, \(regions.count) storages")
        }
        if isTar(input) { throw UnsupportedError("the tar form of torch before 0.1.10; load and save it with a torch before 2.0") }
        guard isStack(input) else { throw torchError("bad-header", "P14", at: 0, expected: "what torch.save writes", found: "other bytes") }
        let stack = try TorchStack(input, limits: limits)
        return Contents(
            value: stack.value, machine: stack.machine, regions: stack.regions,
            detail: "PyTorch stacked pickles, as before 1.6, \(stack.regions.count) storages")
    }

    // MARK: Pickled modules

    static func moduleMessage(_ found: String) -> String {
        "a pickled module (torch.save(model)), which only its own code could read; save its state_dict() instead: found \(found)"
    }

    /// The reason for a global that isn't allowed, where classes of torch.nn beside it say what the file is.
    static func moduleError(for error: FormatError, in pickle: [UInt8]) -> any Error {
        let sign = Array("torch.nn.modules.".utf8)
        return pickle.firstRange(of: sign) == nil ? error : UnsupportedError(moduleMessage(error.found ?? "other globals"))
    }
}
