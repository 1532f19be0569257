import ByteIO

extension HDF5Index {
    /// An object under one of its names.
    struct Named {
        enum Content {
            case object(Int)
            /// A link that leads nowhere, with its target.
            case dangling(String)
        }

        /// Absolute, with a leading slash; empty for the root.
        var path: String
        var content: Content
    }

    /// All names in the file, depth first and sorted: an object that several links lead to comes under each of them.
    ///
    /// Soft links are followed here, in the index, never by libhdf5.
    /// - Throws: `FormatError`: `link-cycle`, `too-deep`, `name-too-long`, `too-many-objects`, `corrupt`.
    func named(limits: Limits) throws -> [Named] {
        let resolver = try LinkResolver(index: self)
        var result: [Named] = []
        var pathByteCount = 0
        /// Groups that are being listed, from the root to the current one, with what is left of their links.
        var open: [(object: Int, path: String, links: ArraySlice<Link>)] = []
        var isOpen: Set<Int> = []

        func enter(_ object: Int, path: String) throws {
            guard result.count < limits.objectCount else {
                throw HDF5Error.make("too-many-objects", "H10", expected: "at most \(limits.objectCount)", found: "more names")
            }
            pathByteCount += path.utf8.count
            guard pathByteCount <= limits.metadataByteCount else {
                throw HDF5Error.make(
                    "metadata-too-large", "H12", expected: "at most \(limits.metadataByteCount) bytes of paths", found: "more")
            }
            result.append(Named(path: path, content: .object(object)))
            guard case .group(let links) = objects[object].kind else { return }
            guard isOpen.insert(object).inserted else { throw HDF5Error.cycle(path) }
            open.append((object, path, links[...]))
        }

        guard !objects.isEmpty, case .group = objects[0].kind else { throw HDF5Error.corrupt(found: "no root group") }
        try enter(0, path: "")
        while let current = open.last {
            guard let link = current.links.first else {
                isOpen.remove(current.object)
                open.removeLast()
                continue
            }
            open[open.count - 1].links.removeFirst()
            let path = current.path + "/" + link.name
            try checkPath(path, depth: open.count, limits: limits)
            switch link.target {
            case .hard(let address): try enter(try resolver.object(at: address, path: path), path: path)
            case .soft(let target):
                if let object = try resolver.resolve(target, from: current.object, path: path) {
                    try enter(object, path: path)
                } else {
                    result.append(Named(path: path, content: .dangling(target)))
                }
            }
        }
        return result
    }
}

/// Follows paths through the index.
private struct LinkResolver {
    let index: HDF5Index
    let objectByAddress: [UInt64: Int]
    /// Links of each group by name; made when first needed would be cheaper, but most files have no soft links at all.
    let hasSoftLinks: Bool
    private let linksByName: [Int: [String: HDF5Index.Link.Target]]
    /// Soft links on the way from one path to its object; libhdf5 itself follows 16.
    private static let hopLimit = 16

    init(index: HDF5Index) throws {
        self.index = index
        var objectByAddress: [UInt64: Int] = [:]
        var hasSoftLinks = false
        for (number, object) in index.objects.enumerated() {
            guard objectByAddress.updateValue(number, forKey: object.address) == nil else {
                throw HDF5Error.corrupt(found: "two objects at byte \(object.address)")
            }
            guard case .group(let links) = object.kind else { continue }
            hasSoftLinks = hasSoftLinks || links.contains { if case .soft = $0.target { true } else { false } }
        }
        self.objectByAddress = objectByAddress
        self.hasSoftLinks = hasSoftLinks
        var linksByName: [Int: [String: HDF5Index.Link.Target]] = [:]
        if hasSoftLinks {
            for (number, object) in index.objects.enumerated() {
                guard case .group(let links) = object.kind else { continue }
                linksByName[number] = Dictionary(links.map { ($0.name, $0.target) }, uniquingKeysWith: { first, _ in first })
            }
        }
        self.linksByName = linksByName
    }

    func object(at address: UInt64, path: String) throws -> Int {
        guard let object = objectByAddress[address] else { throw HDF5Error.corrupt(found: "\(path), a link to no object") }
        return object
    }

    /// The object that a soft link's target names, from the group that holds the link; nil if there is none.
    func resolve(_ target: String, from group: Int, path: String) throws -> Int? {
        var hops = 0
        var current = target.hasPrefix("/") ? 0 : group
        // Components still to go, the next one last.
        var components = Array(target.split(separator: "/").reversed())
        guard !target.isEmpty else { return nil }
        while let component = components.popLast() {
            if component == "." { continue }
            guard let next = linksByName[current]?[String(component)] else { return nil }
            switch next {
            case .hard(let address): current = try object(at: address, path: path)
            case .soft(let inner):
                hops += 1
                guard hops <= Self.hopLimit else { throw HDF5Error.cycle(path) }
                if inner.isEmpty { return nil }
                if inner.hasPrefix("/") { current = 0 }
                components += inner.split(separator: "/").reversed()
            }
        }
        return current
    }
}

extension HDF5Error {
    static func cycle(_ path: String) -> FormatError {
        make("link-cycle", "H8", expected: "groups that form a tree", found: "\(path), which leads back to itself")
    }
}
