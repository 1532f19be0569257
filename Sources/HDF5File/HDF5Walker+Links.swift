import ByteIO
import CHDF5

/// What the callbacks of H5Literate and H5Aiterate2 fill; they may not throw through C.
private final class NameCollector {
    struct Found {
        var name: [UInt8]
        var type: H5L_type_t
        var address: UInt64
        var valueByteCount: Int
    }

    var found: [Found] = []
    var error: FormatError?
    let countLimit: Int
    let nameLimit: Int

    init(countLimit: Int, nameLimit: Int) {
        self.countLimit = countLimit
        self.nameLimit = nameLimit
    }

    /// Copies a name from C.
    /// - Returns: nil after noting the error if it is too long.
    func name(_ name: UnsafePointer<CChar>) -> [UInt8]? {
        let count = strnlen(name, nameLimit + 1)
        guard count <= nameLimit else {
            error = HDF5Error.make("name-too-long", "H11", expected: "names of at most \(nameLimit) bytes", found: "more")
            return nil
        }
        return UnsafeRawBufferPointer(start: name, count: count).map { $0 }
    }
}

extension HDF5Walker {
    /// A group's links by name. What a link leads to is not looked at.
    mutating func readLinks(of group: hid_t, path: String) throws -> [HDF5Index.Link] {
        let collector = NameCollector(countLimit: limits.objectCount, nameLimit: limits.nameByteCount)
        let status = H5Literate(
            group, H5_INDEX_NAME, H5_ITER_INC, nil,
            { _, name, info, context in
                guard let name, let info, let context else { return -1 }
                let collector = Unmanaged<NameCollector>.fromOpaque(context).takeUnretainedValue()
                guard collector.found.count < collector.countLimit else {
                    collector.error = HDF5Error.make("too-many-objects", "H10", expected: "at most \(collector.countLimit)", found: "more")
                    return -1
                }
                guard let bytes = collector.name(name) else { return -1 }
                let isHard = info.pointee.type == H5L_TYPE_HARD
                collector.found.append(
                    .init(
                        name: bytes, type: info.pointee.type, address: isHard ? UInt64(info.pointee.u.address) : 0,
                        valueByteCount: isHard ? 0 : info.pointee.u.val_size))
                return 0
            }, Unmanaged.passUnretained(collector).toOpaque())
        if let error = collector.error { throw error }
        try check(status, "list \(path)")
        var links: [HDF5Index.Link] = []
        for found in collector.found {
            let name = try checkedName(found.name, in: path)
            if let previous = links.last, previous.name == name { throw HDF5Error.corrupt(found: "two links \(name) in \(path)") }
            try addMetadata(UInt64(name.utf8.count) + 32)
            let shown = path == "/" ? "/\(name)" : "\(path)/\(name)"
            switch found.type {
            case H5L_TYPE_HARD: links.append(.init(name: name, target: .hard(found.address)))
            case H5L_TYPE_SOFT:
                links.append(
                    .init(name: name, target: .soft(try readSoftLink(name, of: group, byteCount: found.valueByteCount, path: shown))))
            case H5L_TYPE_EXTERNAL:
                throw HDF5Error.make("external-link", "H3", expected: "links inside the file", found: "\(shown) into another file")
            default:
                throw HDF5Error.make(
                    "user-defined-link", "H4", expected: "hard and soft links", found: "\(shown) of type \(found.type.rawValue)")
            }
        }
        return links
    }

    private func readSoftLink(_ name: String, of group: hid_t, byteCount: Int, path: String) throws -> String {
        guard byteCount <= limits.nameByteCount else {
            throw HDF5Error.make(
                "name-too-long", "H11", expected: "link targets of at most \(limits.nameByteCount) bytes", found: "\(byteCount) bytes")
        }
        var bytes = [UInt8](repeating: 0, count: byteCount + 1)
        try check(H5Lget_val(group, name, &bytes, byteCount, 0), "read the link \(path)")
        guard let target = String(validating: bytes.prefix { $0 != 0 }, as: UTF8.self) else {
            throw HDF5Error.badName("the target of \(path)")
        }
        return target
    }

    /// The name of a link: text of one component, since a slash would make two different paths look the same.
    private func checkedName(_ bytes: [UInt8], in path: String) throws -> String {
        guard let name = String(validating: bytes, as: UTF8.self), !name.isEmpty, name != ".", !bytes.contains(UInt8(ascii: "/")) else {
            throw HDF5Error.badName("a link in \(path)")
        }
        return name
    }

    /// Names of an object's attributes, sorted.
    func attributeNames(of object: hid_t, path: String) throws -> [String] {
        let collector = NameCollector(countLimit: limits.attributeCount, nameLimit: limits.nameByteCount)
        let status = H5Aiterate2(
            object, H5_INDEX_NAME, H5_ITER_INC, nil,
            { _, name, _, context in
                guard let name, let context else { return -1 }
                let collector = Unmanaged<NameCollector>.fromOpaque(context).takeUnretainedValue()
                guard collector.found.count < collector.countLimit else {
                    collector.error = HDF5Error.make(
                        "too-many-attributes", "H10", expected: "at most \(collector.countLimit) on one object", found: "more")
                    return -1
                }
                guard let bytes = collector.name(name) else { return -1 }
                collector.found.append(.init(name: bytes, type: H5L_TYPE_ERROR, address: 0, valueByteCount: 0))
                return 0
            }, Unmanaged.passUnretained(collector).toOpaque())
        if let error = collector.error { throw error }
        try check(status, "list the attributes of \(path)")
        return try collector.found.map { found in
            guard let name = String(validating: found.name, as: UTF8.self) else { throw HDF5Error.badName("an attribute of \(path)") }
            return name
        }
    }
}

extension HDF5Error {
    static func badName(_ what: String) -> FormatError {
        make("bad-name", "H15", expected: "\(what) named in UTF-8, not empty, not a dot, without a slash", found: "another name")
    }
}
