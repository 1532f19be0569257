import ByteIO

/// The form before torch 1.6: pickles one after another, then the storages. Rule P14 of SPEC.md.
struct TorchStack {
    /// The first pickle but for its beginning: LONG1 of ten bytes, 0x1950a86a20f9469cfc6c, STOP.
    static let magic: [UInt8] = [0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E]

    let value: PickleValue
    let machine: PickleMachine
    /// The bytes of every storage, in the order of their numbers.
    let regions: [ByteRegion]

    init(_ input: ByteRegion, limits: Limits) throws {
        var machine = PickleMachine(PickleInput(input, origin: 0, limits: limits), limits: limits)
        func header(_ expected: String) -> FormatError { machine.error("bad-header", "P14", expected: expected, found: "something else") }
        guard case .long(let bytes) = try machine.run(), bytes == Array(Self.magic[2..<12]) else { throw header("the magic number") }
        guard case .int(1001) = try machine.run() else { throw header("protocol 1001") }
        guard case .dict(let number) = try machine.run(), let isLittle = Self.bool("little_endian", in: machine.heap.dictionaries[number])
        else { throw header("a dictionary with little_endian") }
        guard isLittle else { throw UnsupportedError("a file of a big-endian machine") }
        do {
            value = try machine.run()
        } catch let error as FormatError where error.code == "unsafe-global" {
            throw PyTorchFormat.moduleError(for: error, in: try input.bytes(0..<min(input.count, limits.documentByteCount)))
        }
        guard case .list(let list) = try machine.run() else { throw header("a list of storage keys") }
        let keys = try machine.heap.sequences[list].map { key in
            guard case .text(let text) = key else { throw header("storage keys as text") }
            return text
        }
        regions = try Self.regions(keys, input: input, machine: machine)
        self.machine = machine
    }

    private static func bool(_ name: String, in pairs: [(key: PickleValue, value: PickleValue)]) -> Bool? {
        for (key, value) in pairs {
            if case .text(name) = key, case .bool(let bool) = value { return bool }
        }
        return nil
    }

    private static func regions(_ keys: [String], input: ByteRegion, machine: PickleMachine) throws -> [ByteRegion] {
        let numbers = Dictionary(
            machine.storages.enumerated().map { ($0.element.key, $0.offset) }, uniquingKeysWith: { first, _ in first })
        var regions = [ByteRegion?](repeating: nil, count: machine.storages.count)
        var position = UInt64(machine.input.position)
        for key in keys {
            guard let number = numbers[key], regions[number] == nil else {
                throw torchError("bad-header", "P14", at: position, expected: "each storage of the object once", found: "the key `\(key)`")
            }
            let storage = machine.storages[number]
            guard let head = input.subregion(offset: position, count: 8),
                let body = input.subregion(offset: position + 8, count: storage.byteCount)
            else {
                throw torchError(
                    "truncated", "P14", at: position, expected: "\(storage.byteCount) bytes of the storage `\(key)`",
                    found: "\(UInt64(input.count) - min(position, UInt64(input.count)))")
            }
            let count = try head.bytes().reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            let (byteCount, overflow) = count.multipliedReportingOverflow(by: UInt64(storage.dtype?.size ?? 1))
            guard !overflow, byteCount == storage.byteCount else {
                throw torchError(
                    "storage-size-mismatch", "P11", at: position, expected: "\(storage.byteCount) bytes of the storage `\(key)`",
                    found: "\(count) elements")
            }
            regions[number] = body
            position += 8 + storage.byteCount
        }
        guard position == UInt64(input.count) else {
            throw torchError(
                "trailing-bytes", "P14", at: position, expected: "the end of the file",
                found: "\(UInt64(input.count) - position) more bytes")
        }
        return try zip(machine.storages, regions).map { storage, region in
            guard let region else {
                throw torchError("missing-storage", "P11", at: storage.position, expected: "the storage `\(storage.key)`", found: "none")
            }
            return region
        }
    }
}
