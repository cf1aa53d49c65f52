// The one header of Thrust that CuPy's complex numbers ask for.
#pragma once
#define THRUST_NAMESPACE_BEGIN namespace thrust {
#define THRUST_NAMESPACE_END }
