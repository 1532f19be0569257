import ModelIR

/// A name that pickles may refer to: the whole list. What isn't here can't be named, whatever a file says.
enum PickleGlobal: Hashable {
    case orderedDict, counter, set, byteArray, encode
    case size, device, layout
    case rebuildTensor, rebuildTensorV2, rebuildTensorV3, rebuildParameter, rebuildParameterWithState, rebuildFromType
    case tensorClass, parameterClass
    case numpyType, numpyScalar
    /// nil: bytes without a type.
    case storage(DType?)
    case dtype(DType)
    /// Understood, but nothing that Ingot's tensors could be: with its name.
    case unsupported(String)

    /// For error lines.
    var name: String {
        switch self {
        case .orderedDict: "collections.OrderedDict"
        case .counter: "collections.Counter"
        case .set: "builtins.set"
        case .byteArray: "builtins.bytearray"
        case .encode: "_codecs.encode"
        case .size: "torch.Size"
        case .device: "torch.device"
        case .layout: "torch.serialization._get_layout"
        case .rebuildTensor: "torch._utils._rebuild_tensor"
        case .rebuildTensorV2: "torch._utils._rebuild_tensor_v2"
        case .rebuildTensorV3: "torch._utils._rebuild_tensor_v3"
        case .rebuildParameter: "torch._utils._rebuild_parameter"
        case .rebuildParameterWithState: "torch._utils._rebuild_parameter_with_state"
        case .rebuildFromType: "torch._tensor._rebuild_from_type_v2"
        case .tensorClass: "torch.Tensor"
        case .parameterClass: "torch.nn.parameter.Parameter"
        case .numpyType: "numpy.dtype"
        case .numpyScalar: "numpy.core.multiarray.scalar"
        case .storage(let dtype): "a storage type of \(dtype?.rawValue ?? "bytes")"
        case .dtype(let dtype): Self.dtypes.first { $0.dtype == dtype }.map { "torch.\($0.name)" } ?? dtype.rawValue
        case .unsupported(let name): name
        }
    }

    /// - Parameters: exactly as the pickle spells them; nothing is split, joined or imported.
    init?(module: String, name: String) {
        guard let global = Self.table[module]?[name] else { return nil }
        self = global
    }

    private static let dtypes: [(name: String, dtype: DType)] = [
        ("float32", .f32), ("float64", .f64), ("float16", .f16), ("bfloat16", .bf16), ("float8_e4m3fn", .f8e4m3), ("float8_e5m2", .f8e5m2),
        ("uint8", .u8), ("int8", .i8), ("int16", .i16), ("int32", .i32), ("int64", .i64), ("uint16", .u16), ("uint32", .u32),
        ("uint64", .u64), ("bool", .bool),
    ]

    private static let storages: [(name: String, dtype: DType)] = [
        ("DoubleStorage", .f64), ("FloatStorage", .f32), ("HalfStorage", .f16), ("BFloat16Storage", .bf16), ("LongStorage", .i64),
        ("IntStorage", .i32), ("ShortStorage", .i16), ("CharStorage", .i8), ("ByteStorage", .u8), ("BoolStorage", .bool),
    ]

    private static let table: [String: [String: PickleGlobal]] = {
        let builtins: [String: PickleGlobal] = ["set": .set, "frozenset": .set, "bytearray": .byteArray]
        let multiarray: [String: PickleGlobal] = ["scalar": .numpyScalar]
        var torch: [String: PickleGlobal] = ["Size": .size, "device": .device, "Tensor": .tensorClass]
        var storageTypes: [String: PickleGlobal] = ["UntypedStorage": .storage(nil)]
        for (name, dtype) in dtypes { torch[name] = .dtype(dtype) }
        for (name, dtype) in storages { storageTypes[name] = .storage(dtype) }
        for name in [
            "ComplexFloatStorage", "ComplexDoubleStorage", "QInt8Storage", "QUInt8Storage", "QInt32Storage", "QUInt4x2Storage",
            "QUInt2x4Storage",
        ] {
            storageTypes[name] = .unsupported("torch.\(name)")
        }
        for name in [
            "complex32", "complex64", "complex128", "qint8", "quint8", "qint32", "quint4x2", "quint2x4", "float8_e4m3fnuz",
            "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2", "per_tensor_affine", "per_tensor_symmetric", "per_channel_affine",
            "per_channel_symmetric", "per_channel_affine_float_qparams",
        ] {
            torch[name] = .unsupported("torch.\(name)")
        }
        torch.merge(storageTypes) { first, _ in first }
        var utilities: [String: PickleGlobal] = [
            "_rebuild_tensor": .rebuildTensor, "_rebuild_tensor_v2": .rebuildTensorV2, "_rebuild_tensor_v3": .rebuildTensorV3,
            "_rebuild_parameter": .rebuildParameter, "_rebuild_parameter_with_state": .rebuildParameterWithState,
        ]
        for name in [
            "_rebuild_qtensor", "_rebuild_sparse_tensor", "_rebuild_sparse_csr_tensor", "_rebuild_nested_tensor",
            "_rebuild_meta_tensor_no_storage",
        ] {
            utilities[name] = .unsupported("torch._utils.\(name)")
        }
        return [
            "collections": ["OrderedDict": .orderedDict, "Counter": .counter],
            "builtins": builtins, "__builtin__": builtins, "_codecs": ["encode": .encode],
            "numpy": ["dtype": .numpyType], "numpy.core.multiarray": multiarray, "numpy._core.multiarray": multiarray,
            "torch": torch, "torch.cuda": storageTypes.filter { $0.value != .storage(nil) }, "torch.storage": storageTypes,
            "torch._utils": utilities, "torch.nn.parameter": ["Parameter": .parameterClass],
            "torch._tensor": ["_rebuild_from_type_v2": .rebuildFromType, "Tensor": .tensorClass],
            "torch.serialization": ["_get_layout": .layout],
        ]
    }()
}
