import ByteIO
import FormatKit
import ModelIR

/// HDF5 files as checkpoints; the .h5 format and the .keras archive both use it.
public enum HDF5Checkpoint {
    /// Reads everything but the tensors' bytes.
    ///
    /// Groups and tensors come depth first, sorted by name. A dataset of several names is a tensor under each of them, and a tie. What is no
    /// tensor (strings, compound types, dangling links) is listed as opaque.
    /// - Parameter format: `Checkpoint.format` of the result.
    /// - Throws: `FormatError` with format `hdf5` and the rules of Formats/HDF5/SPEC.md.
    public static func read(_ region: ByteRegion, format: String, limits: Limits) throws -> Checkpoint {
        try checkpoint(from: try HDF5Index.build(region: region, limits: limits), over: region, format: format, limits: limits)
    }

    /// The checkpoint that an index describes; `region` is the one the index was made from. Needs no libhdf5.
    public static func checkpoint(
        from index: HDF5Index, over region: ByteRegion, format: String, limits: Limits
    ) throws -> Checkpoint {
        var checkpoint = Checkpoint(format: format, groups: [])
        var namesByObject: [Int: [String]] = [:]
        var order: [Int] = []
        var assumedCount = 0
        for named in try index.named(limits: limits) {
            let name = String(named.path.dropFirst())
            guard case .object(let number) = named.content else {
                if case .dangling(let target) = named.content {
                    checkpoint.opaque.append(.init(name: name, description: "link to \(target), which is not in the file"))
                }
                continue
            }
            let object = index.objects[number]
            switch object.kind {
            case .group: checkpoint.groups.append(.init(path: name, attributes: object.attributes))
            case .opaque(let description):
                checkpoint.opaque.append(.init(name: name, description: description))
                continue
            case .dataset(let dataset):
                if namesByObject[number] == nil { order.append(number) }
                namesByObject[number, default: []].append(name)
                if dataset.encoding == .bareOpaque { assumedCount += 1 }
                let storage = try dataset.tensorStorage(in: region, addressing: index.addressing, path: named.path)
                checkpoint.tensors.append(
                    .init(
                        name: name, tensor: Tensor(dtype: dataset.dtype, shape: dataset.shape, storage: storage),
                        attributes: attributes(of: object, dataset)))
            }
            for attribute in object.opaqueAttributes {
                let path = name.isEmpty ? "/" : named.path
                checkpoint.opaque.append(
                    .init(
                        name: "\(name)@\(attribute.name)", description: "attribute \(attribute.name) of \(path): \(attribute.description)"))
            }
        }
        checkpoint.ties = order.compactMap { number in
            guard let names = namesByObject[number], names.count > 1 else { return nil }
            return .init(names: names)
        }
        checkpoint.formatDetail = "HDF5, superblock \(index.superblockVersion), \(index.objects.count) objects"
        if assumedCount > 0 { checkpoint.formatDetail += ", \(assumedCount) opaque of two bytes taken for bf16" }
        return checkpoint
    }

    /// A tensor's attributes. Types that can be spelled in several ways get the attribute that says what they are, as it will be written:
    /// so the guess that was made for bare opaque bytes is in the checkpoint, and reading back gives the same.
    private static func attributes(of object: HDF5Index.Object, _ dataset: HDF5Index.Dataset) -> [Attribute] {
        guard let tag = dataset.dtype.opaqueTag, object.attributes["dtype"] == nil else { return object.attributes }
        return (object.attributes + [Attribute("dtype", .text(tag))]).sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    }
}
