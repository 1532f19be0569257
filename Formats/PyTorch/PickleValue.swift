import ByteIO
import ModelIR

/// A value on the machine's stack. Containers are numbers of `PickleHeap`: shared as Python shares them, and however deeply they are nested,
/// letting go of them costs no stack.
enum PickleValue {
    case none
    case bool(Bool)
    case int(Int64)
    /// An integer past 64 bits: two's complement, little-endian.
    case long([UInt8])
    case double(Double)
    case text(String)
    case bytes([UInt8])
    case tuple(Int)
    case list(Int)
    case set(Int)
    case dict(Int)
    case global(PickleGlobal)
    case storage(TorchStorageView)
    /// A number of `PickleMachine.tensors`.
    case tensor(Int)
    /// A numpy.dtype by its letters (`f8`), with its byte order once that is known.
    case numpyType(String, isBigEndian: Bool)

    /// For error lines.
    var kind: String {
        switch self {
        case .none: "None"
        case .bool: "a bool"
        case .int, .long: "an integer"
        case .double: "a float"
        case .text: "text"
        case .bytes: "bytes"
        case .tuple: "a tuple"
        case .list: "a list"
        case .set: "a set"
        case .dict: "a dictionary"
        case .global(let global): global.name
        case .storage: "a storage"
        case .tensor: "a tensor"
        case .numpyType: "a numpy.dtype"
        }
    }
}

/// The containers of one pickle.
struct PickleHeap {
    /// Elements of tuples, lists and sets.
    private(set) var sequences: [[PickleValue]] = []
    private(set) var dictionaries: [[(key: PickleValue, value: PickleValue)]] = []

    /// Containers, and what calls have copied: a short pickle could copy a long list over and over.
    var count: Int { sequences.count + dictionaries.count + copiedCount }
    private var copiedCount = 0

    /// Counts `count` values that a call copies.
    mutating func charge(_ count: Int) { copiedCount += count }

    mutating func addSequence(_ elements: [PickleValue]) -> Int {
        sequences.append(elements)
        return sequences.count - 1
    }

    mutating func addDictionary(_ pairs: [(key: PickleValue, value: PickleValue)]) -> Int {
        dictionaries.append(pairs)
        return dictionaries.count - 1
    }

    mutating func append(_ elements: some Sequence<PickleValue>, to sequence: Int) { sequences[sequence].append(contentsOf: elements) }

    mutating func set(_ value: PickleValue, for key: PickleValue, in dictionary: Int) { dictionaries[dictionary].append((key, value)) }
}

/// Elements of a storage, which others may share.
struct TorchStorageView: Hashable {
    /// A number of `PickleMachine.storages`.
    var storage: Int
    /// nil: bytes without a type, until a tensor gives them one.
    var dtype: DType?
    /// Where it begins in the storage, in bytes.
    var offset: UInt64
    var byteCount: UInt64
}

/// A storage that a pickle names.
struct TorchStorage {
    var key: String
    var dtype: DType?
    var byteCount: UInt64
    /// Where the pickle names it first.
    var position: UInt64
}

/// A tensor that a pickle makes of a storage; all counts are of elements.
struct TorchTensor {
    var view: TorchStorageView
    var dtype: DType
    var offset: UInt64
    var shape: [Int]
    var strides: [Int]
    /// Where the pickle makes it.
    var position: UInt64

    /// Whether its elements lie one after another, the last dimension's next to each other.
    var isContiguous: Bool {
        var expected = 1
        for (size, stride) in zip(shape, strides).reversed() where size != 1 {
            guard stride == expected else { return false }
            expected *= size
        }
        return true
    }
}

/// An error of this format.
func torchError(
    _ code: FormatError.Code, _ rule: String, at offset: UInt64? = nil, expected: String? = nil, found: String? = nil
) -> FormatError {
    FormatError(PyTorchFormat.name, code, at: offset, rule: rule, expected: expected, found: found)
}
