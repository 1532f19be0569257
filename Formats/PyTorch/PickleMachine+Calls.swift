import ByteIO
import ModelIR

/// What REDUCE, BUILD and BINPERSID do, by our own code.
extension PickleMachine {
    mutating func call(_ global: PickleGlobal, _ arguments: [PickleValue]) throws -> PickleValue {
        func failure(_ expected: String) -> FormatError {
            error("bad-call", "P9", expected: "\(global.name)(\(expected))", found: arguments.map(\.kind).joined(separator: ", "))
        }
        try charge(arguments)
        switch global {
        case .orderedDict, .counter:
            switch (arguments.count, arguments.first) {
            case (0, _): return .dict(heap.addDictionary([]))
            case (1, .dict(let dictionary)): return .dict(heap.addDictionary(heap.dictionaries[dictionary]))
            case (1, .list(let list)):
                return .dict(
                    heap.addDictionary(
                        try heap.sequences[list].map { pair in
                            guard let pair = elements(pair), pair.count == 2 else { throw failure("pairs") }
                            return (pair[0], pair[1])
                        }))
            default: throw failure("pairs")
            }
        case .set:
            guard arguments.count <= 1, let items = arguments.isEmpty ? [] : elements(arguments[0]) else { throw failure("values") }
            return .set(heap.addSequence(items))
        case .byteArray:
            guard arguments.count <= 1 else { throw failure("bytes") }
            guard let first = arguments.first else { return .bytes([]) }
            guard case .bytes(let bytes) = first else { throw failure("bytes") }
            return .bytes(bytes)
        case .encode:
            // Protocol 2 has no bytes: they are text of one character for each.
            guard arguments.count == 2, case .text(let text) = arguments[0], case .text(let encoding) = arguments[1],
                ["latin1", "latin-1"].contains(encoding)
            else { throw failure("text, 'latin1'") }
            return .bytes(
                try text.unicodeScalars.map {
                    guard let byte = UInt8(exactly: $0.value) else { throw failure("text of latin1, 'latin1'") }
                    return byte
                })
        case .size:
            guard arguments.count == 1, let sizes = elements(arguments[0]) else { throw failure("sizes") }
            return .tuple(heap.addSequence(sizes))
        case .device:
            guard case .text(let type)? = arguments.first, arguments.count <= 2 else { throw failure("type, index") }
            guard arguments.count == 2, case .int(let index) = arguments[1] else { return .text(type) }
            return .text("\(type):\(index)")
        case .layout:
            guard arguments.count == 1, case .text(let name) = arguments[0] else { throw failure("name") }
            return .text(name)
        case .rebuildTensor, .rebuildTensorV2, .rebuildTensorV3: return try rebuiltTensor(global, arguments)
        case .rebuildParameter:
            guard arguments.count == 3, case .tensor = arguments[0] else { throw failure("tensor, requires_grad, hooks") }
            return arguments[0]
        case .rebuildParameterWithState:
            guard arguments.count == 4, case .tensor = arguments[0] else { throw failure("tensor, requires_grad, hooks, state") }
            return arguments[0]
        case .rebuildFromType:
            guard arguments.count == 4, case .global(let function) = arguments[0], case .global(let type) = arguments[1],
                type == .tensorClass || type == .parameterClass, function != .rebuildFromType, case .tuple(let inner) = arguments[2],
                case .tensor(let tensor) = try call(function, heap.sequences[inner])
            else { throw failure("function, torch.Tensor, arguments, state") }
            return .tensor(tensor)
        case .numpyType:
            guard case .text(let letters)? = arguments.first, arguments.count <= 3 else { throw failure("letters") }
            return .numpyType(letters, isBigEndian: letters.hasPrefix(">"))
        case .numpyScalar:
            guard arguments.count == 2, case .numpyType(let letters, let isBigEndian) = arguments[0], case .bytes(let bytes) = arguments[1],
                let value = numpyNumber(letters, isBigEndian: isBigEndian, bytes)
            else { throw failure("a dtype of numbers, bytes") }
            return value
        case .unsupported(let name): throw UnsupportedError("a tensor of a kind that Ingot doesn't have: \(name)")
        case .tensorClass, .parameterClass, .storage, .dtype: throw failure("nothing: it isn't called")
        }
    }

    /// What a call may copy of its arguments counts like containers of its own.
    private mutating func charge(_ arguments: [PickleValue]) throws {
        for argument in arguments {
            switch argument {
            case .dict(let number): heap.charge(heap.dictionaries[number].count)
            case .tuple(let number), .list(let number), .set(let number): heap.charge(heap.sequences[number].count)
            case .text(let text): heap.charge(text.utf8.count / 64)
            case .bytes(let bytes): heap.charge(bytes.count / 64)
            default: break
            }
        }
        try checkHeap()
    }

    /// The elements of a sequence; nil for anything else.
    private func elements(_ value: PickleValue) -> [PickleValue]? {
        switch value {
        case .tuple(let number), .list(let number), .set(let number): heap.sequences[number]
        default: nil
        }
    }

    mutating func built(_ value: PickleValue, state: PickleValue) throws -> PickleValue {
        switch (value, state) {
        // Attributes of a dictionary, as `_metadata` of a state dict.
        case (.dict, .dict), (.dict, .none): return value
        case (.numpyType(let letters, _), .tuple(let number)):
            guard heap.sequences[number].count > 1, case .text(let order) = heap.sequences[number][1] else { break }
            return .numpyType(letters, isBigEndian: order == ">")
        default: break
        }
        throw error("bad-call", "P9", expected: "a state for a dictionary or a numpy.dtype", found: "\(state.kind) for \(value.kind)")
    }

    /// A NumPy scalar of one of the plain types.
    private func numpyNumber(_ letters: String, isBigEndian: Bool, _ stored: [UInt8]) -> PickleValue? {
        let kind = letters.drop { "<>|=".contains($0) }
        let bytes = isBigEndian ? stored.reversed() : stored
        guard let type = kind.first, let size = Int(kind.dropFirst()), size == bytes.count, [1, 2, 4, 8].contains(size) else { return nil }
        let bits = bytes.enumerated().reduce(UInt64(0)) { $0 | UInt64($1.element) << UInt64(8 * $1.offset) }
        switch (type, size) {
        case ("b", 1): return bits <= 1 ? .bool(bits == 1) : nil
        case ("u", _): return Int64(exactly: bits).map { .int($0) } ?? .long(bytes + [0])
        case ("i", _): return .int(Int64(bitPattern: bits << UInt64(64 - 8 * size)) >> Int64(64 - 8 * size))
        case ("f", 8): return .double(Double(bitPattern: bits))
        case ("f", 4): return .double(Double(Float(bitPattern: UInt32(bits))))
        case ("f", 2): return (try? Tensor(dtype: .f16, shape: [], bytes: bytes).doubles()).flatMap(\.first).map { .double($0) }
        default: return nil
        }
    }

    // MARK: Storages

    /// `("storage", type, key, location, count)`, in the stacked form with a view after it.
    mutating func persistentStorage(_ value: PickleValue) throws -> TorchStorageView {
        func failure(_ found: String) -> FormatError {
            error("bad-persistent-id", "P10", expected: "(\"storage\", type, key, location, count)", found: found)
        }
        guard case .tuple(let number) = value else { throw failure(value.kind) }
        let id = heap.sequences[number]
        guard case .text(let kind)? = id.first else { throw failure("no kind") }
        guard kind == "storage" else {
            // The stacked form keeps a class and its source beside each module.
            if kind == "module" { throw UnsupportedError(PyTorchFormat.moduleMessage("a class and its source code")) }
            throw failure("`\(kind.prefix(40))`")
        }
        guard (5...6).contains(id.count), case .global(let type) = id[1], let key = keyText(id[2]), case .text = id[3] else {
            throw failure(id.map(\.kind).joined(separator: ", "))
        }
        if case .unsupported(let name) = type { throw UnsupportedError("a tensor of a kind that Ingot doesn't have: \(name)") }
        guard case .storage(let dtype) = type else { throw failure("the type \(type.name)") }
        let size = UInt64(dtype?.size ?? 1)
        guard let byteCount = byteCount(id[4], of: size), key.utf8.count <= limits.nameByteCount else { throw failure("no count") }
        let storage = try self.number(
            ofStorage: TorchStorage(key: key, dtype: dtype, byteCount: byteCount, position: input.fileOffset))
        var view = TorchStorageView(storage: storage, dtype: dtype, offset: 0, byteCount: byteCount)
        guard id.count == 6, case .tuple(let part) = id[5] else {
            if id.count == 6, case .none = id[5] { return view }
            guard id.count == 5 else { throw failure("a view that is \(id[5].kind)") }
            return view
        }
        let fields = heap.sequences[part]
        guard fields.count == 3, keyText(fields[0]) != nil, let begin = self.byteCount(fields[1], of: size),
            let count = self.byteCount(fields[2], of: size), begin <= byteCount, count <= byteCount - begin
        else { throw failure("a view that isn't inside its storage") }
        view.offset = begin
        view.byteCount = count
        return view
    }

    /// Keys are text, or numbers in the oldest files.
    private func keyText(_ value: PickleValue) -> String? {
        switch value {
        case .text(let text): text
        case .int(let number): "\(number)"
        default: nil
        }
    }

    private func byteCount(_ value: PickleValue, of size: UInt64) -> UInt64? {
        guard case .int(let count) = value, let elements = UInt64(exactly: count) else { return nil }
        let (bytes, overflow) = elements.multipliedReportingOverflow(by: size)
        return overflow || bytes > UInt64(Int.max) ? nil : bytes
    }

    // MARK: Tensors

    private mutating func rebuiltTensor(_ global: PickleGlobal, _ arguments: [PickleValue]) throws -> PickleValue {
        func failure(_ found: String) -> FormatError {
            error("bad-call", "P9", expected: "\(global.name)(storage, offset, size, stride, ...)", found: found)
        }
        let counts = global == .rebuildTensor ? 4...4 : global == .rebuildTensorV2 ? 6...7 : 7...8
        guard counts.contains(arguments.count), case .storage(let view) = arguments[0], let sizes = elements(arguments[2]),
            let steps = elements(arguments[3])
        else { throw failure(arguments.map(\.kind).joined(separator: ", ")) }
        var dtype = view.dtype
        if global == .rebuildTensorV3 {
            if case .global(.unsupported(let name)) = arguments[6] {
                throw UnsupportedError("a tensor of a kind that Ingot doesn't have: \(name)")
            }
            guard case .global(.dtype(let given)) = arguments[6] else { throw failure(arguments[6].kind) }
            dtype = given
        }
        guard let dtype else { throw failure("a storage without a type") }
        // Conjugate and negative bits of complex numbers.
        if arguments.count == counts.upperBound, global != .rebuildTensor, case .dict(let bits)? = arguments.last {
            for (key, value) in heap.dictionaries[bits] {
                if case .bool(false) = value { continue }
                guard case .text(let name) = key else { throw failure(key.kind) }
                throw UnsupportedError("a tensor that is a view with the bit `\(name)`")
            }
        }
        guard sizes.count <= limits.rank else {
            throw error("too-deep", "P6", expected: "at most \(limits.rank) dimensions", found: "\(sizes.count)")
        }
        guard sizes.count == steps.count, let shape = naturals(sizes), let strides = naturals(steps),
            let offset = naturals([arguments[1]])?.first
        else { throw error("bad-shape", "P12", expected: "offset, sizes and strides that aren't negative", found: "others") }
        let tensor = TorchTensor(
            view: view, dtype: dtype, offset: UInt64(offset), shape: shape, strides: strides, position: input.fileOffset)
        try check(tensor)
        return try add(tensor)
    }

    private func naturals(_ values: [PickleValue]) -> [Int]? {
        var result: [Int] = []
        for value in values {
            guard case .int(let number) = value, number >= 0 else { return nil }
            result.append(Int(number))
        }
        return result
    }

    /// The last element that the strides lead to lies inside the storage.
    private func check(_ tensor: TorchTensor) throws {
        var byteCount = tensor.dtype.size
        for size in tensor.shape {
            let (product, overflow) = byteCount.multipliedReportingOverflow(by: size)
            guard !overflow else { throw error("bad-shape", "P12", expected: "a size below 2^63 bytes", found: "\(tensor.shape)") }
            byteCount = product
        }
        guard byteCount > 0 else { return }
        let available = tensor.view.byteCount / UInt64(tensor.dtype.size)
        var last = tensor.offset
        for (size, stride) in zip(tensor.shape, tensor.strides) {
            let (step, overflow) = UInt64(size - 1).multipliedReportingOverflow(by: UInt64(stride))
            let (sum, overflowed) = last.addingReportingOverflow(step)
            guard !overflow, !overflowed else {
                throw error("out-of-bounds", "P12", expected: "strides below 2^63 elements", found: "\(tensor.strides)")
            }
            last = sum
        }
        guard last < available else {
            throw error("out-of-bounds", "P12", expected: "at most \(available) elements", found: "element \(last)")
        }
    }
}
