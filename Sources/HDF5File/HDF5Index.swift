import FormatKit
import ModelIR

/// Everything that is needed to read an HDF5 file without libhdf5: objects, links, attributes, and where the elements lie.
///
/// A pure value: it can be made in another process and sent over. Addresses are relative to the region it was made from.
public struct HDF5Index: Hashable, Sendable {
    /// Version of the superblock, 0 to 3.
    public var superblockVersion: Int
    /// How the file writes addresses, and where they count from: behind a user block of 0, 512, 1024, ... bytes.
    public var addressing: HDF5Addressing
    /// Each object once, however many links lead to it; the root group first.
    public var objects: [Object]

    public struct Object: Hashable, Sendable {
        /// Where the object's header lies; tells objects apart.
        public var address: UInt64
        public var kind: Kind
        /// Sorted by name, the only order that every HDF5 file has.
        public var attributes: [Attribute]
        /// Attributes of kinds that a checkpoint can't hold, with a description of their type.
        public var opaqueAttributes: [OpaqueAttribute] = []
    }

    public struct OpaqueAttribute: Hashable, Sendable {
        public var name: String
        public var description: String
    }

    public enum Kind: Hashable, Sendable {
        /// A group's links, sorted by name.
        case group([Link])
        case dataset(Dataset)
        /// Neither: a named datatype, or a dataset whose elements are no numbers. The text says what it is.
        case opaque(String)
    }

    public struct Link: Hashable, Sendable {
        public var name: String
        public var target: Target

        public enum Target: Hashable, Sendable {
            /// Address of the object.
            case hard(UInt64)
            /// A path as stored, absolute or relative to the group.
            case soft(String)
        }
    }

    /// A dataset of numbers.
    public struct Dataset: Hashable, Sendable {
        public var dtype: DType
        public var isBigEndian: Bool
        public var encoding: Encoding
        /// Empty for a scalar.
        public var shape: [Int]
        public var storage: Storage

        public var byteCount: Int { shape.reduce(dtype.size, *) }
    }

    /// How the file spells the element type, where there is more than one way.
    public enum Encoding: String, Hashable, Sendable {
        /// HDF5's own integer, float or enum class.
        case native
        /// Opaque bytes whose meaning the attribute `dtype` tells, as Keras 3 writes.
        case taggedOpaque
        /// Opaque elements of two bytes without a word on what they are: taken for bf16.
        case bareOpaque
        /// Unsigned integers whose meaning the attribute `dtype` tells.
        case taggedInteger
    }

    public enum Storage: Hashable, Sendable {
        /// The elements' bytes, in the file's byte order.
        case compact([UInt8])
        /// Position of the elements in the region.
        case contiguous(UInt64)
        case chunked(Chunks)
        /// Nothing stored: every element has this value, given in the file's byte order.
        case unallocated(fill: [UInt8])
    }

    public struct Chunks: Hashable, Sendable {
        /// Shape of one chunk, in elements; as many dimensions as the dataset.
        public var shape: [Int]
        /// In the order of writing.
        public var filters: [Filter]
        /// One element, in the file's byte order, for what is not stored.
        public var fill: [UInt8]
        /// Sizes up to which the dataset may grow, `.max` where there is no end; it decides how chunks are numbered.
        public var maximumShape: [UInt64]
        /// Where the places of the chunks are written down; they are looked up when the tensor is read.
        public var location: ChunkLocation
        /// Chunks that reach past the dataset's edge went through no filter.
        public var skipsFiltersAtEdges = false
    }

    public struct Filter: Hashable, Sendable {
        /// Registered number: 1 deflate, 2 shuffle, 3 fletcher32, ...
        public var identifier: Int
        public var name: String
        public var values: [UInt32]
    }

    public struct Chunk: Hashable, Sendable {
        /// Row-major position in the grid of chunks.
        public var index: Int
        /// Position in the region.
        public var offset: UInt64
        /// Stored size, in bytes.
        public var byteCount: UInt64
        /// Bit n set: filter n was not applied to this chunk.
        public var filterMask: UInt32
    }
}
